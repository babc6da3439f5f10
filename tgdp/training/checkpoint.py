"""Checkpoints that are there whole or not at all, and known to be whole when they are read."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import torch

from tgdp.errors import UserError
from tgdp.training import best, checksum, retention
from tgdp.training.retention import path_of, paths

FORMAT = 1

save_best = best.save_best

logger = logging.getLogger(__name__)


class DamagedError(UserError):
    """A checkpoint that is not, or may not be, what was once written."""


def save(
    folder: Path, step: int, state: dict[str, Any], keeps: Callable[[int], bool] | None = None
) -> Path:
    """Write a checkpoint and its checksum, then drop the oldest ones.

    Args:
        folder: The run's checkpoints.
        step: Steps taken; names the file.
        state: What `torch.save` can store of plain types and tensors.
        keeps: Says of a step whether its checkpoint stays whatever its age; asked at every save.

    Raises:
        UserError: The disk is full or not writable; earlier checkpoints are whole.
    """
    path = path_of(folder, step)
    retention.tidy(folder)
    try:
        with _temporary(path) as temporary:
            digest = _write(temporary, {"format": FORMAT, "step": step, **state})
            checksum.put_in_place(temporary, path, digest)
        retention.remember_whole(path.stat())
    except OSError as error:
        raise UserError(
            f"{path}: cannot write the checkpoint ({error.strerror}); "
            "earlier checkpoints are whole: free space and start the same command again"
        ) from error
    best.finish(folder)
    retention.drop_old(folder, path, keeps)
    return path


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of plain types and tensors by temporary file and rename, without a checksum.

    Raises:
        OSError: The disk is full or not writable; what was there before is whole.
    """
    with _temporary(path) as temporary:
        _write(temporary, content)
        temporary.replace(path)
        checksum.sync_folder(path.parent)


def load_newest(folder: Path, expected: int | None = None) -> dict[str, Any] | None:
    """Return the newest checkpoint that can be read, or None where there is none.

    A damaged file is named in a warning and left where it is: the next reader may be able to read
    it, and whoever reads a run need not be the one that writes it.

    Args:
        folder: The run's checkpoints.
        expected: The step that was saved last, as far as is known; a warning names its file where
            that is missing and nothing newer is there. None or 0 where none was saved.

    Raises:
        UserError: There are checkpoints and all are damaged; or one is whole and cannot be loaded.
    """
    tried: set[Path] = set()
    errors: list[DamagedError] = []
    state = None
    # Listed anew each time: a run that is being looked at writes new ones and drops old ones.
    while state is None and (left := [path for path in paths(folder) if path not in tried]):
        tried.add(left[0])
        try:
            state = _load(left[0])
        except FileNotFoundError:
            continue
        except DamagedError as error:
            errors.append(error)
    if state is None and errors:
        raise UserError(_none_left(folder, errors))
    going_on = "starting from nothing" if state is None else f"going on from step {state['step']}"
    for error in errors:
        logger.warning("%s; %s", error, going_on)
    if expected and (state is None or state["step"] < expected):
        missing = path_of(folder, expected)
        if not missing.exists():
            logger.warning("%s: missing, though it was saved last; %s", missing, going_on)
    return state


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint, on the CPU, after comparing it with its checksum.

    One without a checksum, of an older run or copied by hand, is read with a warning.

    Raises:
        DamagedError: The file cannot be read, differs from its checksum or, where there is none,
            is nothing that torch can read.
        UserError: The file is absent; or it is as it was written and yet cannot be loaded.
    """
    try:
        return _load(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such checkpoint") from error


def _load(path: Path) -> dict[str, Any]:
    try:
        with checksum.opened(path) as (file, has_checksum):
            state = _read(path, file, has_checksum)
            retention.remember_whole(os.fstat(file.fileno()))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{path}: damaged checkpoint ({error.strerror})") from error
    except checksum.MismatchError as error:
        raise DamagedError(f"{path}: damaged checkpoint ({error})") from error
    if not has_checksum:
        logger.warning("%s: has no checksum; read, but not known to be as it was written", path)
    return state


def _read(path: Path, file: IO[bytes], has_checksum: bool) -> dict[str, Any]:
    # A file that is as it was written is not passed over for an older one: too little memory, or
    # another version of this program, is for the user to mend, and no step is lost by it.
    kind = UserError if has_checksum else DamagedError
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    # A damaged file fails in many ways: zip, pickle, storage sizes.
    except Exception as error:
        what = "whole, but cannot be loaded here" if has_checksum else "damaged checkpoint"
        raise kind(f"{path}: {what} ({error})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise kind(f"{path}: not a checkpoint of this version (format {FORMAT})")
    return state


def _none_left(folder: Path, errors: list[DamagedError]) -> str:
    listed = "; ".join(map(str, errors))
    way_out = "to start again from nothing, delete them"
    if (record := best.read_best(folder)) is not None:
        name = path_of(folder, record.step).name
        way_out += f", or to go on from the best one: cp {best.FILE} {name}"
    return f"{folder}: no checkpoint can be read; {way_out}. {listed}"


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """Yield a name to write to that is gone in the end."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, content: Mapping[str, Any]) -> str:
    """Write a file to the disk and return the SHA-256 of what was written."""
    with path.open("wb") as file:
        watched = _Watched(file)
        try:
            torch.save(content, watched)  # pyright: ignore[reportArgumentType] (it only writes)
        except RuntimeError as error:
            # torch reports a full disk as a broken zip stream; the cause is what the file said.
            raise watched.error or error from error
        file.flush()
        os.fsync(file.fileno())
    return watched.sha256.hexdigest()


class _Watched:
    """A file that takes the checksum of what is written, and remembers why a write failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        self.sha256.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()
