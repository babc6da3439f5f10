"""A stand-in for training that does nothing, for tests of the queue.

What it does is ruled by the environment, which reaches the jobs through submitit:

    FAKE_TRACE   file that gets a line when a run begins and one when it ends
    FAKE_FAIL    mask ratio that fails
    FAKE_BLIND   mask ratio whose evaluation fails
    FAKE_FAINT   mask ratio whose evaluation kills its process, `probe-linear-av/0.25` a probe of it
    FAKE_LINGER  an evaluation and a probe wait until asked to stop
    FAKE_UNLABELLED  probe that fails, for example `probe-linear-av`
    FAKE_DIE     mask ratio whose process kills itself
    FAKE_HOLD    wait after step 3 until asked to stop
    FAKE_MEET    begin no step before so many runs have begun
    FAKE_DEAF    wait after step 3 whatever is asked
"""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tgdp.config import Config
from tgdp.evaluation.probe.settings import Kind, Modality, ProbeSettings
from tgdp.training.run_directory import RunDirectory

Prober = Callable[[Kind, Modality, str, str], dict[str, Any] | None]

STEP_S = 0.02
HELD_AT = 3


def train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    ratio = config.contrastive.mask.ratio
    _trace("begin", run)
    try:
        if os.environ.get("FAKE_FAIL") == str(ratio):
            raise ValueError(f"ratio {ratio} is not to be\nand here are details")
        return _train(run, config, should_stop)
    finally:
        _trace("end", run)


def _train(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    first, total = run.status().step, config.training.steps or 0
    while _begun() < int(os.environ.get("FAKE_MEET", "0")):
        time.sleep(STEP_S)
    for step in range(first + 1, total + 1):
        while os.environ.get("FAKE_HOLD") and step > HELD_AT and not should_stop():
            time.sleep(STEP_S)
        while os.environ.get("FAKE_DEAF") and step > HELD_AT:
            time.sleep(STEP_S)
        if should_stop():
            return False
        time.sleep(STEP_S)
        status = replace(run.status(), step=step, total_steps=total, loss=1.0 / step)
        run.set_status(replace(status, saved=step))
        run.append({"kind": "metric", "step": step, "values": {"train/loss/total": 1.0 / step}})
        if os.environ.get("FAKE_DIE") == str(config.contrastive.mask.ratio):
            os.kill(os.getpid(), signal.SIGKILL)
    return True


def evaluate(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    ratio = config.contrastive.mask.ratio
    _trace("evaluate", run)
    while os.environ.get("FAKE_LINGER") and not should_stop():
        time.sleep(STEP_S)
    if os.environ.get("FAKE_BLIND") == str(ratio):
        raise ValueError(f"nothing to see of {ratio}")
    if os.environ.get("FAKE_FAINT") == str(ratio):
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
        while os.environ.get("FAKE_LINGER") and not should_stop():
            time.sleep(STEP_S)
        if os.environ.get("FAKE_UNLABELLED") == name:
            raise ValueError(f"no labels for {name}")
        if os.environ.get("FAKE_FAINT") == f"{name}/{ratio}":
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


def _begun() -> int:
    text = Path(os.environ["FAKE_TRACE"]).read_text(encoding="utf-8")
    return len({line.split()[2] for line in text.splitlines() if " begin " in line})


def _trace(word: str, run: RunDirectory) -> None:
    line = f"{time.time():.3f} {word} {run.name} {run.status().step}\n"
    with Path(os.environ["FAKE_TRACE"]).open("a", encoding="utf-8") as file:
        file.write(line)
