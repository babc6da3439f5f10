"""Checkpoints that are there whole or not at all."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from tgdp.errors import UserError

FORMAT = 1
KEPT = 2
"""Newest checkpoints that stay; the older one is there in case the newest cannot be read."""

logger = logging.getLogger(__name__)


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint by temporary file and rename, then drop the oldest ones.

    Args:
        folder: The run's checkpoints.
        step: Steps taken; names the file.
        state: What `torch.save` can store of plain types and tensors.

    Raises:
        UserError: The disk is full or not writable; earlier checkpoints are whole.
    """
    path = folder / f"step-{step:08d}.pt"
    try:
        write(path, {"format": FORMAT, "step": step, **state})
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the checkpoint ({error.strerror}); "
            "earlier checkpoints are whole: free space and start the same command again"
        ) from error
    for old in paths(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of plain types and tensors by temporary file and rename.

    Raises:
        OSError: The disk is full or not writable; what was there before is whole.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            _write(file, content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def load_newest(folder: Path) -> dict[str, Any] | None:
    """Return the newest checkpoint that can be read, or None where there is none.

    A file that cannot be read is named in a warning and left where it is.
    """
    for path in paths(folder):
        try:
            return load(path)
        except UserError as error:
            logger.warning("%s; going back to the checkpoint before", error)
    return None


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint, on the CPU.

    Raises:
        UserError: The file is absent, damaged or of another format.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error
    # A damaged file fails in many ways: zip, pickle, storage sizes.
    except Exception as error:
        raise UserError(f"{path}: damaged checkpoint ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path}: not a checkpoint of this version (format {FORMAT})")
    return state


def paths(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, newest first."""
    return sorted(folder.glob("step-*.pt"), reverse=True)


def _write(file: IO[bytes], state: Mapping[str, Any]) -> None:
    watched = _Watched(file)
    try:
        torch.save(state, watched)  # pyright: ignore[reportArgumentType] (it only writes)
    except RuntimeError as error:
        # torch reports a full disk as a broken zip stream; the cause is what the file said.
        raise watched.error or error from error
    file.flush()
    os.fsync(file.fileno())


class _Watched:
    """A file that remembers why a write failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()
