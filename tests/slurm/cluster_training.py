"""A stand-in for training, as jobs of a cluster do it: it waits after a step until it is let go on.

What it does is ruled by files in the folder that FAKE_FOLDER names, so that it can change while a
job is in the queue:

    go              do not wait
    fail-<ratio>    the training of this mask ratio raises an error
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tgdp.config import Config
from tgdp.sweep.stages import Stage, Stages
from tgdp.training.ranks import find_meeting
from tgdp.training.run_directory import RunDirectory

HELD_AT = 3

STEP_S = 0.02

STAGES = Stages(
    Stage("cluster_training:train", "trained"),
    Stage("cluster_training:evaluate"),
    Stage("cluster_training:open_prober", is_probing=True),
)


def train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    if not _is_first():
        return True
    folder, ratio = Path(os.environ["FAKE_FOLDER"]), config.contrastive.mask.ratio
    if (folder / f"fail-{ratio}").exists():
        raise ValueError(f"ratio {ratio} is not to be")
    first, total = run.status().step, config.training.steps or 0
    for step in range(first + 1, total + 1):
        while step > HELD_AT and not (folder / "go").exists() and not should_stop():
            time.sleep(STEP_S)
        if should_stop():
            return False
        time.sleep(STEP_S)
        status = replace(run.status(), step=step, total_steps=total, loss=1.0 / step)
        run.set_status(replace(status, saved=step))
        run.append({"kind": "metric", "step": step, "values": {"train/loss/total": 1.0 / step}})
    return True


def evaluate(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    del should_stop
    if not _is_first():
        return True
    value = {"value": config.contrastive.mask.ratio + config.seed}
    run.result_file.write_text(json.dumps({"metrics": value, "steps": config.training.steps}))
    return True


def _is_first() -> bool:
    meeting = find_meeting()
    return meeting is None or meeting.ranks.is_first
