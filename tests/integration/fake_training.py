"""A stand-in for training that does nothing, for tests of queues and of clusters.

What it does is ruled by orders. One in the environment (FAKE_HOLD=1) holds for the jobs of a
launch, which submitit hands on; one in a file (`orders/hold`, beside the trace) holds for all jobs,
and may come or go while they work.

    FAKE_TRACE   file that gets a line when a run begins and one when it ends
    FAKE_FAIL    mask ratio that fails
    FAKE_BLIND   mask ratio whose evaluation fails
    FAKE_FAINT   mask ratio whose evaluation kills its process, `probe-linear-av/0.25` a probe of it
    FAKE_LINGER  an evaluation and a probe wait until asked to stop
    FAKE_UNLABELLED  probe that fails, for example `probe-linear-av`
    FAKE_DIE     mask ratio whose process kills itself
    FAKE_HOLD    wait after step 3 until asked to stop, or while the file is there; 1, or a ratio
    FAKE_MEET    begin no step before so many runs have begun
    FAKE_DEAF    wait after step 3 whatever is asked

Of several ranks only the first does anything.
"""

import json
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tgdp.config import Config
from tgdp.evaluation.probe.settings import Kind, Modality, ProbeSettings
from tgdp.sweep.stages import Stage, Stages
from tgdp.training.ranks import find_meeting
from tgdp.training.run_directory import RunDirectory

Prober = Callable[[Kind, Modality, str, str], dict[str, Any] | None]

log = logging.getLogger(__name__)

STEP_S = 0.02
HELD_AT = 3

STAGES = Stages(
    Stage("fake_training:train", "trained"),
    Stage("fake_training:evaluate"),
    Stage("fake_training:open_prober", is_probing=True),
)


def train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    if not _is_first():
        return True
    ratio = config.contrastive.mask.ratio
    _trace("begin", run)
    log.info("trains ratio %s", ratio)
    try:
        if _ordered("fail") == str(ratio):
            raise ValueError(f"ratio {ratio} is not to be\nand here are details")
        return _train(run, config, should_stop)
    finally:
        _trace("end", run)


def _train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    first, total = run.status().step, config.training.steps or 0
    ratio = str(config.contrastive.mask.ratio)
    while _begun() < int(_ordered("meet") or 0):
        time.sleep(STEP_S)
    for step in range(first + 1, total + 1):
        while step > HELD_AT and _ordered("hold") in ("1", ratio) and not should_stop():
            time.sleep(STEP_S)
        while step > HELD_AT and _ordered("deaf"):
            time.sleep(STEP_S)
        if should_stop():
            return False
        time.sleep(STEP_S)
        status = replace(run.status(), step=step, total_steps=total, loss=1.0 / step)
        run.set_status(replace(status, saved=step))
        run.append({"kind": "metric", "step": step, "values": {"train/loss/total": 1.0 / step}})
        if _ordered("die") == ratio:
            os.kill(os.getpid(), signal.SIGKILL)
    return True


def evaluate(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    if not _is_first():
        return True
    ratio = config.contrastive.mask.ratio
    _trace("evaluate", run)
    while _ordered("linger") and not should_stop():
        time.sleep(STEP_S)
    if _ordered("blind") == str(ratio):
        raise ValueError(f"nothing to see of {ratio}")
    if _ordered("faint") == str(ratio):
        os.kill(os.getpid(), signal.SIGKILL)
    if should_stop():
        return False
    steps = config.training.steps
    run.result_file.write_text(
        json.dumps({"metrics": {"value": ratio + config.seed}, "steps": steps})
    )
    return True


def open_prober(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> Prober:
    def measure(kind: Kind, modality: Modality, train: str, test: str) -> dict[str, Any] | None:
        ratio, name = config.contrastive.mask.ratio, f"probe-{kind}-{modality}"
        _trace(name, run)
        while _ordered("linger") and not should_stop():
            time.sleep(STEP_S)
        if _ordered("unlabelled") == name:
            raise ValueError(f"no labels for {name}")
        if _ordered("faint") == f"{name}/{ratio}":
            os.kill(os.getpid(), signal.SIGKILL)
        if should_stop():
            return None
        settings = ProbeSettings(kind=kind, modality=modality)
        return {
            "protocol": settings.protocol,
            "dataset": config.data.name,
            "split": test,
            "train_split": train,
            "fingerprint": config.data.fingerprint,
            "which": "last",
            "modality": modality,
            "settings": {**asdict(settings), "task": "singlelabel", "rates": settings.grid},
            "metrics": {f"{settings.protocol}/{config.data.name}/{modality}/top1": ratio},
        }

    return measure


def _ordered(word: str) -> str:
    if given := os.environ.get(f"FAKE_{word.upper()}"):
        return given
    try:
        return (Path(os.environ["FAKE_TRACE"]).parent / "orders" / word).read_text()
    except FileNotFoundError:
        return ""


def _is_first() -> bool:
    meeting = find_meeting()
    return meeting is None or meeting.ranks.is_first


def _begun() -> int:
    text = Path(os.environ["FAKE_TRACE"]).read_text(encoding="utf-8")
    return len({line.split()[2] for line in text.splitlines() if " begin " in line})


def _trace(word: str, run: RunDirectory) -> None:
    line = f"{time.time():.3f} {word} {run.name} {run.status().step}\n"
    with Path(os.environ["FAKE_TRACE"]).open("a", encoding="utf-8") as file:
        file.write(line)
