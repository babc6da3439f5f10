"""The run of the tests that kill and stop: small, with everything in it, and its command."""

import json
from pathlib import Path
from typing import Any

from kill_process import Attempt

from tests.small_model import SMALL_MODEL
from tgdp.cli.train_run import ONE_RUN
from tgdp.config import Config
from tgdp.sweep.declare import expand
from tgdp.sweep.resolve import Words, resolve_base
from tgdp.training.run_directory import RunDirectory

CLIPS = [1.6] * 18
"""Seconds of each clip; half of them are trained on."""
STEPS_PER_EPOCH = 3
FRAME = 48
"""Side of a stored picture: as the model wants it, so that nothing is resized."""

SMALL: dict[str, Any] = {
    **SMALL_MODEL,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "contrastive.mask.selection": "guided",
    "training.batch_size": 3,
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.device": "cpu",
    "runtime.threads": 1,
    "runtime.log_every": 1,
    "runtime.save_every": 2,
    "runtime.keep_every": 2,
    "runtime.evaluate_every": 1,
}
"""A model of a moment, with everything that a checkpoint must hold."""


def resolved(data: Path, results: Path, **changes: Any) -> tuple[RunDirectory, Config]:
    """Return a run as `tgdp-train` with the words of `command` resolves it."""
    base = resolve_base(ONE_RUN, words(data, **changes), results)
    (cell,) = expand(ONE_RUN, base.config, (0,))
    return RunDirectory(results / "runs" / cell.signature), cell.config


def undisturbed(data: Path, folder: Path, steps: int) -> RunDirectory:
    """Return a run of so many steps that ends without being killed or asked to stop."""
    run, config = resolved(data, folder, training__steps=steps)
    assert Attempt(run, config).join() == 0
    return run


def words(data: Path, **changes: Any) -> Words:
    """Return what is asked for on the command line.

    Args:
        data: Prepared folder.
        changes: Keys of the configuration, with `__` for the dot.
    """
    return Words("tiny", data, tuple(_assignments(changes)), "0,")


def command(data: Path, results: Path, **changes: Any) -> list[str]:
    """Return the words that train a run, without the interpreter.

    Args:
        data: Prepared folder.
        results: Where all is kept.
        changes: Keys of the configuration, with `__` for the dot.
    """
    start = ["-m", "tgdp.cli.train", "--data", str(data), "--results", str(results)]
    return start + [word for pair in _assignments(changes) for word in ("--set", pair)]


def _assignments(changes: dict[str, Any]) -> list[str]:
    given = {key.replace("__", "."): value for key, value in changes.items()}
    return [f"{key}={json.dumps(value)}" for key, value in {**SMALL, **given}.items()]
