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
from tgdp.training import best, retention
from tgdp.training.ranks import Ranks, find_meeting, rank_device
from tgdp.training.run_directory import RunDirectory
from tgdp.training.trainer import pick_device

LAST, BEST, TEACHER = "last", "best", "teacher"
"""Instead of a checkpoint's step: the newest one, the best one, the EMA teacher of the newest."""


@dataclass(frozen=True)
class Subject:
    """An encoder, and what it is measured on.

    Attributes:
        encoder: On its device.
        config: Its sizes; data, split.
        weights: Which weights these are, in words.
        which: The same as a word for names: `last`, `best`, `teacher`, `step-600`; of a file by
            itself `last`, or `teacher-step-600` where the file is one of several of a run.
        run: The run that they are of; None of a file that lies in none.
        file: Where they were read: a run directory or a file.
    """

    encoder: Encoder
    config: Config
    weights: str
    which: str
    run: RunDirectory | None
    file: Path


def open_subject(
    where: Path,
    data: Path | None = None,
    split: str | None = None,
    heads: int | None = None,
    which: str = LAST,
) -> Subject:
    """Return the encoder of one of our checkpoints or of a released one.

    Args:
        where: A run directory, a checkpoint file of one, or a released file.
        data: Prepared folder; of our own the run's, if None.
        split: Split instead of the run's own.
        heads: Attention heads of a released model whose width does not tell them.
        which: Of a run directory: `last`, `best`, a step (`600` or `step-600`), or `teacher` for
            the last one's teacher. Of a checkpoint file: `last` for what it holds, or `teacher`.

    Raises:
        UserError: The checkpoint or the data cannot be read, or there is no such split, checkpoint
            or teacher.
    """
    if where.is_file() and not is_ours(where):
        return _released(where, data, split, heads, which)
    if where.is_file() and which not in (LAST, TEACHER):
        raise UserError(
            f"--which {which}: {where} is one checkpoint. Valid: {LAST} (what it holds), "
            f"{TEACHER}; others are chosen of the run directory"
        )
    wanted = LAST if which == TEACHER else which.removeprefix("step-")
    stored = open_checkpoint(where, data, split, wanted)
    stored.to(_device(stored.config))
    name, run = _name_of(where, stored.step, wanted), _run_of(where)
    if which != TEACHER:
        words = f"step {stored.step}"
        return Subject(stored.student.encoder, stored.config, words, name, run, where)
    if stored.teacher is None:
        choices = "last, best or a step" if where.is_dir() else LAST
        raise UserError(f"--which {which}: {where} has no teacher; choose {choices}")
    name = TEACHER if name == LAST else f"{TEACHER}-{name}"
    words = f"teacher, step {stored.step}"
    return Subject(stored.teacher, stored.config, words, name, run, where)


def _released(
    where: Path, data: Path | None, split: str | None, heads: int | None, which: str
) -> Subject:
    if which != LAST:
        raise UserError(
            f"--which {which}: {where} is a released file, which holds one model. Valid: {LAST}"
        )
    if data is None:
        raise UserError(f"{where}: a released file has no data of its own; give --data DIR")
    # One head more or less in the decoder changes nothing: it is not used.
    released = read_checkpoint(where, Heads(heads, decoder=1))
    config = on_data(released.config, data, split)
    encoder = released.build_encoder().to(_device(config))
    return Subject(encoder, config, where.name, LAST, None, where)


def _device(config: Config) -> torch.device:
    """Return the device of this process: of several ranks, each its own GPU."""
    meeting = find_meeting()
    return rank_device(meeting.ranks if meeting else Ranks(), pick_device(config))


def _name_of(where: Path, step: int, wanted: str) -> str:
    """Return the word for the weights of a checkpoint."""
    if where.is_dir():
        return wanted if wanted in (LAST, BEST) else f"step-{step}"
    if _run_of(where) is None:
        return LAST
    return BEST if where.name == best.FILE else f"step-{step}"


def _run_of(where: Path) -> RunDirectory | None:
    """Return the run of a run directory or of a file among its checkpoints."""
    if where.is_dir():
        return RunDirectory(where.resolve())
    file = where.resolve()
    run = RunDirectory(file.parents[1])
    is_named = file.name == best.FILE or retention.NAME.fullmatch(file.name)
    is_of_run = file.parent == run.checkpoints and run.config_file.exists()
    return run if is_named and is_of_run else None


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
