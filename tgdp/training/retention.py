"""Which checkpoints stay: nothing goes before what replaces it is whole."""

import logging
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

from tgdp.training import checksum

KEPT = 2
"""Newest whole checkpoints that stay; the older one is there in case the newest cannot be read."""

NAME = re.compile(r"step-(\d{8,})\.pt")

logger = logging.getLogger(__name__)

_whole: set[tuple[int, ...]] = set()
"""Files that this process wrote or read whole: a save need not read what it leaves to stand."""


def path_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step lies."""
    return folder / f"step-{step:08d}.pt"


def paths(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, newest first."""
    found = (path for path in folder.glob("step-*.pt") if NAME.fullmatch(path.name))
    return sorted(found, key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """Return the step that a checkpoint is named by.

    Raises:
        ValueError: It is not named by a step.
    """
    match = NAME.fullmatch(path.name)
    if match is None:
        raise ValueError(f"{path}: not named by a step, as step-00000100.pt is")
    return int(match[1])


def remember_whole(status: os.stat_result) -> None:
    """Note that a file was written or read whole by this process."""
    _whole.add(_identity(status))


def tidy(folder: Path) -> None:
    """Remove what killed processes left: temporary files, and checksums without a checkpoint."""
    for path in folder.glob("*.tmp"):
        _remove(path)
    for path in folder.glob("*.pt.sha256"):
        if not path.with_suffix("").exists():
            _remove(path)


def drop_old(folder: Path, new: Path, keeps: Callable[[int], bool] | None = None) -> None:
    """Remove the checkpoints that need not stay.

    There stay the newest `KEPT` that are whole, everything newer than those, the one just written,
    and those that are asked for. Files are unlinked, never cut: who reads one now reads it whole.

    Args:
        folder: The run's checkpoints.
        new: The one just written.
        keeps: Says of a step whether its checkpoint stays whatever its age.
    """
    num_whole = 0
    for path in paths(folder):
        if num_whole < KEPT:
            num_whole += path == new or _is_whole(path)
        elif path != new and not (keeps is not None and keeps(step_of(path))) and _remove(path):
            # In this order, so that no checkpoint ever stands without its checksum.
            _remove(checksum.file_of(path))


def _is_whole(path: Path) -> bool:
    try:
        if _identity(path.stat()) in _whole:
            return True
        with checksum.opened(path) as (file, has_checksum):
            # An older run stored no checksum; a file that was cut off has lost the end of its zip.
            is_whole = has_checksum or zipfile.is_zipfile(file)
            if is_whole:
                remember_whole(os.fstat(file.fileno()))
            return is_whole
    except (OSError, checksum.MismatchError):
        return False


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _remove(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s: cannot be removed (%s)", path, error.strerror)
        return False
    return True
