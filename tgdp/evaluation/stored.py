"""A checkpoint as something to look at: its configuration and its weights, whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from tgdp.config import Config, from_dict, override
from tgdp.data.card import read_card
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.model.teacher import build_teacher
from tgdp.training import best, checkpoint, retention
from tgdp.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Stored:
    """What a checkpoint holds, on one device, in evaluation mode.

    Attributes:
        config: The run, on its own data or on another folder.
        student: As trained.
        teacher: Its slow copy; None where the run has none.
        step: Steps taken.
    """

    config: Config
    student: Student
    teacher: Encoder | None
    step: int

    def to(self, device: torch.device) -> "Stored":
        """Move the weights."""
        self.student.to(device)
        if self.teacher is not None:
            self.teacher.to(device)
        return self


def open_checkpoint(
    where: Path, data: Path | None = None, split: str | None = None, which: str = "last"
) -> Stored:
    """Return a checkpoint, on the CPU, with the data that it is to be looked at on.

    Args:
        where: A run directory or a checkpoint file.
        data: Prepared folder instead of the run's own.
        split: Split instead of the run's own.
        which: Checkpoint of the run directory: `last`, `best` or a step.

    Raises:
        UserError: The checkpoint cannot be read or is not there, or the folder is not prepared.
    """
    stored = _load(where, which)
    config = from_dict(yaml.safe_load(stored["config"]), str(where))
    config = on_data(config, data, split)
    student = Student(config)
    student.load_state_dict(stored["student"])
    teacher = None
    if stored["teacher"] is not None:
        teacher = build_teacher(student.encoder)
        teacher.load_state_dict(stored["teacher"])
    return Stored(config, student.eval(), teacher, stored["step"])


def on_data(config: Config, data: Path | None, split: str | None) -> Config:
    """Return a configuration that is evaluated on another folder, another split, or both.

    Raises:
        UserError: The folder is not prepared.
    """
    changes: dict[str, Any] = {} if split is None else {"evaluation.split": split}
    if data is not None:
        card = read_card(data)
        changes |= {"data.folder": str(data.resolve()), "data.name": card.name}
    return override(config, changes, "--data" if split is None else "--split")


def _load(path: Path, which: str) -> dict[str, Any]:
    if path.is_file():
        return checkpoint.load(path)
    folder = RunDirectory(path).checkpoints
    if which != "last":
        return checkpoint.load(_find(folder, which))
    stored = checkpoint.load_newest(folder)
    if stored is None:
        raise UserError(f"{path}: neither a checkpoint file nor a run directory that holds one")
    return stored


def _find(folder: Path, which: str) -> Path:
    files = {str(retention.step_of(path)): path for path in retention.paths(folder)}
    if (folder / best.FILE).exists():
        files["best"] = folder / best.FILE
    if which not in files:
        raise UserError(f"{folder}: no checkpoint '{which}'. Valid: {', '.join(['last', *files])}")
    return files[which]
