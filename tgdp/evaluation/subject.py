"""What is measured: an encoder out of any checkpoint, and the data it is measured on."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.evaluation.stored import on_data, open_checkpoint
from tgdp.model.encoder import Encoder
from tgdp.model.released.read import Heads, read_checkpoint
from tgdp.training.trainer import pick_device

TEACHER = "teacher"
"""Instead of a checkpoint's step: the EMA teacher of the newest one."""


@dataclass(frozen=True)
class Subject:
    """An encoder, and what it is measured on.

    Attributes:
        encoder: On its device.
        config: Its sizes; data, split.
        weights: Which weights these are, in words.
    """

    encoder: Encoder
    config: Config
    weights: str


def open_subject(
    where: Path,
    data: Path | None = None,
    split: str | None = None,
    heads: int | None = None,
    which: str = "last",
) -> Subject:
    """Return the encoder of one of our checkpoints or of a released one.

    Args:
        where: A run directory, a checkpoint file of one, or a released file.
        data: Prepared folder; of our own the run's, if None.
        split: Split instead of the run's own.
        heads: Attention heads of a released model whose width does not tell them.
        which: Of a run directory: `last`, `best`, a step, or `teacher` for the last one's teacher.

    Raises:
        UserError: The checkpoint or the data cannot be read, or there is no such split, checkpoint
            or teacher.
    """
    if where.is_file() and not is_ours(where):
        return _released(where, data, split, heads)
    wanted = "last" if which == TEACHER else which
    stored = open_checkpoint(where, data, split, wanted)
    stored.to(pick_device(stored.config))
    if which != TEACHER:
        return Subject(stored.student.encoder, stored.config, f"step {stored.step}")
    if stored.teacher is None:
        raise UserError(f"{where}: the run has no teacher; choose last, best or a step")
    return Subject(stored.teacher, stored.config, f"teacher, step {stored.step}")


def _released(where: Path, data: Path | None, split: str | None, heads: int | None) -> Subject:
    if data is None:
        raise UserError(f"{where}: a released file has no data of its own; give --data DIR")
    # One head more or less in the decoder changes nothing: it is not used.
    released = read_checkpoint(where, Heads(heads, decoder=1))
    config = on_data(released.config, data, split)
    return Subject(released.build_encoder().to(pick_device(config)), config, where.name)


def is_ours(path: Path) -> bool:
    """Say whether a file is a checkpoint of ours; a damaged file counts as one."""
    if not zipfile.is_zipfile(path):
        # Written by torch before 1.6, or damaged.
        return path.match("step-*.pt") or path.name == "best.pt"
    try:
        # Mapped, not read: only the table of contents is looked at.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        return True
    return isinstance(content, dict) and {"format", "student"} <= content.keys()
