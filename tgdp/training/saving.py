"""A learner in a checkpoint and back, and which checkpoint is the best."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tgdp.config import Config, dump
from tgdp.model.encoder import Encoder
from tgdp.training import best, checkpoint, retention
from tgdp.training.learner import Learner, Lost
from tgdp.training.retention import path_of
from tgdp.training.run_directory import RunDirectory


class Score(NamedTuple):
    """What an evaluation in the middle of a run found.

    Attributes:
        values: By metric name.
        best_by: Which of them says how good a checkpoint is; higher is better.
    """

    values: dict[str, float]
    best_by: str


Evaluate = Callable[[Encoder], Score]
"""Measures an encoder, and leaves it as it was."""


def save(
    run: RunDirectory,
    config: Config,
    learner: Learner,
    score: Score | None = None,
    keeps: Callable[[int], bool] | None = None,
) -> Path:
    """Write a checkpoint of everything that training changes.

    Args:
        run: Where it goes.
        config: Stored with it.
        learner: What is stored.
        score: What was measured at this step, if anything was.
        keeps: Steps whose checkpoints stay for good; only the newest do if None.

    Raises:
        UserError: The disk is full; the checkpoints before are whole.
    """
    teacher = learner.teacher
    best_by = None if score is None else (score.best_by, score.values[score.best_by])
    state = {
        "config": dump(config),
        "student": learner.student.state_dict(),
        "teacher": None if teacher is None else teacher.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "scaler": learner.scaler.state_dict(),
        "lost": {"total": learner.lost.total, "in_a_row": learner.lost.in_a_row},
        "best_by": best_by,
    }
    path = checkpoint.save(run.checkpoints, learner.step, state, keeps=keeps)
    keep_best(run, {"step": learner.step, **state})
    return path


def keep_best(run: RunDirectory, stored: dict[str, Any] | None) -> None:
    """Keep a checkpoint as the best so far, if it is and was measured.

    Called again when a run resumes, because it may have been killed between the two files.
    """
    if stored is not None and stored.get("best_by"):
        path = path_of(run.checkpoints, stored["step"])
        best.save_best(run.checkpoints, path, *stored["best_by"])


def finish_save(run: RunDirectory, step: int, keeps: Callable[[int], bool] | None = None) -> None:
    """Do what is left of the save of a step, should its process have died in the middle.

    Args:
        run: Where it went.
        step: Of its checkpoint, which is whole.
        keeps: As for `save`.
    """
    retention.tidy(run.checkpoints)
    retention.drop_old(run.checkpoints, path_of(run.checkpoints, step), keeps)


def restore(learner: Learner, stored: dict[str, Any]) -> None:
    """Put a learner where a checkpoint left it."""
    learner.student.load_state_dict(stored["student"])
    learner.optimizer.load_state_dict(stored["optimizer"])
    if learner.teacher is not None:
        learner.teacher.load_state_dict(stored["teacher"])
    # Checkpoints of before there were losses to scale and to count hold neither.
    if stored.get("scaler"):
        learner.scaler.load_state_dict(stored["scaler"])
    learner.lost = Lost(**stored.get("lost", {}))
    learner.step = stored["step"]
