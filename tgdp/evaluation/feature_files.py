"""The files of a cache entry: arrays that are mapped, and the lines that say what is in them."""

import os
import zlib
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tgdp.errors import UserError
from tgdp.evaluation.embed import Chunk, rows_of

Array = NDArray[Any]
"""float32 or float16, (N, S, D)."""


class Form(NamedTuple):
    """What both arrays of an entry look like.

    Attributes:
        shape: (N, S, D).
        dtype: float32 or float16.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def num_bytes(self) -> int:
        """Bytes of the values of one array."""
        return int(np.prod(self.shape)) * self.dtype.itemsize


class Sums(NamedTuple):
    """CRC-32 of the bytes of a chunk."""

    audio: int
    image: int


@contextmanager
def writing(folder: Path) -> Generator[None, None, None]:
    """Turn a full disk, or a folder that cannot be written, into an error the user can mend."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: features cannot be stored ({error.strerror or error}); free some space or "
            "choose another folder with --results. Finished chunks are kept, the same command "
            "goes on from there"
        ) from error


def create(path: Path, form: Form) -> None:
    """Make an array of zeros, all of its room taken at once where the file system can do that.

    Raises:
        OSError: The disk is full or not writable.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            header = {"descr": form.dtype.str, "fortran_order": False, "shape": form.shape}
            np.lib.format.write_array_header_1_0(file, header)
            file.flush()
            start = file.tell()
            if form.num_bytes and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), start, form.num_bytes)
            file.truncate(start + form.num_bytes)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def mapped(path: Path, form: Form) -> Array | None:
    """Return an array, read only where it is looked at; None if it is not what it should be."""
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):
        return None
    is_whole = path.stat().st_size == array.offset + form.num_bytes
    return array if is_whole and array.shape == form.shape and array.dtype == form.dtype else None


def sums_of(audio: Array, image: Array) -> Sums:
    """Return the sums of a chunk."""
    return Sums(zlib.crc32(audio.data), zlib.crc32(image.data))


def line_of(number: int, sums: Sums) -> str:
    """Return the line of a finished chunk."""
    return f"{number} {sums.audio:08x} {sums.image:08x}\n"


def finished_in(folder: Path) -> dict[int, Sums]:
    """Return the chunks that some process called finished; torn lines are left out."""
    told: dict[int, Sums] = {}
    for file in sorted(folder.glob("finished*.txt")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            parts = line.split()
            if line.endswith("\n") and len(parts) == 3:
                with suppress(ValueError):
                    told[int(parts[0])] = Sums(int(parts[1], 16), int(parts[2], 16))
    return told


class Writer:
    """Writes the chunks of one rank.

    Not through mapped memory: a disk that is full then says so, where a mapped page would end the
    process.

    Args:
        folder: Of the entry.
        form: Of both arrays.
        files: Audio, image and journal, the first two open to read and write, the last to append.
    """

    def __init__(
        self, folder: Path, form: Form, files: tuple[BinaryIO, BinaryIO, BinaryIO]
    ) -> None:
        self._folder = folder
        self._form = form
        self._arrays, self._journal = files[:2], files[2]
        self._row = form.num_bytes // form.shape[0]
        self._start = os.fstat(files[0].fileno()).st_size - form.num_bytes

    def write(self, chunk: Chunk) -> None:
        """Write a chunk and wait until it is on the disk, then say so in the journal.

        Raises:
            UserError: The disk is full, or float16 cannot hold a value.
        """
        parts = [self._as_stored(part) for part in (chunk.audio, chunk.image)]
        first = rows_of(chunk.number, self._form.shape[0]).start
        with writing(self._folder):
            for file, part in zip(self._arrays, parts, strict=True):
                file.seek(self._start + first * self._row)
                file.write(part.data)
                _to_disk(file)
            self._journal.write(line_of(chunk.number, sums_of(parts[0], parts[1])).encode())
            _to_disk(self._journal)

    def _as_stored(self, part: NDArray[np.float32]) -> Array:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(part, self._form.dtype)
        if np.isfinite(part).all() and not np.isfinite(stored).all():
            raise UserError(f"{self._folder}: a feature is too large for float16; store float32")
        return stored


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
