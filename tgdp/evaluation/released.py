"""Retrieval with a released checkpoint file, and our checkpoints told from those."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from tgdp.errors import UserError
from tgdp.evaluation.run import evaluate, evaluate_checkpoint
from tgdp.evaluation.stored import on_data
from tgdp.model.released.read import Heads, read_checkpoint
from tgdp.training.trainer import pick_device


def evaluate_any(
    where: Path, data: Path | None = None, split: str | None = None, heads: int | None = None
) -> dict[str, Any]:
    """Return what retrieval measures for one of our checkpoints or for a released one.

    Args:
        where: A run directory, a checkpoint file of one, or a released file.
        data: Prepared folder; of our own the run's, if None.
        split: Split to retrieve among.
        heads: Attention heads of a released model whose width does not tell them.

    Raises:
        UserError: The checkpoint or the data cannot be read, or there is no such split.
    """
    if not where.is_file() or is_ours(where):
        return evaluate_checkpoint(where, data, split)
    if data is None:
        raise UserError(f"{where}: a released file has no data of its own; give --data DIR")
    # One head more or less in the decoder changes nothing: retrieval does not use it.
    released = read_checkpoint(where, Heads(heads, decoder=1))
    config = on_data(released.config, data, split)
    return evaluate(released.build_encoder().to(pick_device(config)), config)


def is_ours(path: Path) -> bool:
    """Say whether a file is a checkpoint of ours; a damaged file counts as one."""
    if not zipfile.is_zipfile(path):
        return path.match("step-*.pt")  # Written by torch before 1.6, or damaged.
    try:
        # Mapped, not read: only the table of contents is looked at.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:
        return True
    return isinstance(content, dict) and {"format", "student"} <= content.keys()
