"""A stand-in for training whose R@1 is a function of the settings, for tests of studies.

What it does is ruled by the environment, or by files in the folder that FAKE_FOLDER names, which
reach jobs of a cluster too:

    FAKE_TRACE      file that gets a line when a run begins
    FAKE_HOLD, hold wait after the first epoch until asked to stop, or until the file is gone
    FAKE_FAIL       mask ratio that fails
    FAKE_SLOW, slow mask ratio that waits after its third epoch until asked to stop
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tgdp.config import Config
from tgdp.sweep.stages import Stage, Stages
from tgdp.training.run_directory import RunDirectory

STEP_S = 0.01

AN_EPOCH = 4
"""Steps: 64 clips, 16 a batch."""

STAGES = Stages(
    Stage("tuned_training:train", "trained"),
    Stage("tuned_training:evaluate"),
    Stage("tuned_training:evaluate", is_probing=True),
)


def train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    ratio, first = config.contrastive.mask.ratio, run.status().step
    _trace(run)
    if os.environ.get("FAKE_FAIL") == str(ratio):
        raise ValueError(f"ratio {ratio} is not to be")
    total = config.training.steps or 0
    for step in range(first + 1, total + 1):
        while _is_held(step, ratio) and not should_stop():
            time.sleep(STEP_S)
        if should_stop():
            return False
        time.sleep(STEP_S)
        status = replace(run.status(), step=step, total_steps=total, saved=step)
        run.set_status(replace(status, loss=1.0 / step, seconds=60.0 * step))
        if config.runtime.evaluate_every and step % AN_EPOCH == 0:
            values = {f"retrieval/{config.data.name}/mean_r1": ratio * step / total}
            run.append({"kind": "metric", "step": step, "values": values})
    return True


def evaluate(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    del should_stop
    ratio, name = config.contrastive.mask.ratio, f"retrieval/{config.data.name}"
    metrics = {f"{name}/a2v/r1": ratio, f"{name}/v2a/r1": ratio}
    run.result_file.write_text(json.dumps({"metrics": metrics}))
    return True


def _is_held(step: int, ratio: float) -> bool:
    if step == AN_EPOCH + 1:
        return bool(os.environ.get("FAKE_HOLD")) or _has("hold")
    is_slow = os.environ.get("FAKE_SLOW") == str(ratio) or _has(f"slow-{ratio}")
    return is_slow and step == 3 * AN_EPOCH + 1


def _has(name: str) -> bool:
    folder = os.environ.get("FAKE_FOLDER")
    return folder is not None and (Path(folder) / name).exists()


def _trace(run: RunDirectory) -> None:
    if "FAKE_TRACE" in os.environ:
        with Path(os.environ["FAKE_TRACE"]).open("a", encoding="utf-8") as file:
            file.write(f"{run.name} {run.status().step}\n")
