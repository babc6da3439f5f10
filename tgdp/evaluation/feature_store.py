"""One entry of the feature cache: two arrays, a line for each finished chunk, a mark at the end.

    meta.json          what the features depend on, in words
    audio.npy          (N, S, D)
    image.npy          (N, S, D)
    finished.txt       number of a chunk, CRC-32 of its audio, CRC-32 of its image
    finished-0.txt     the same, by the first rank, while the entry is computed
    done.json          rows, and the SHA-256 of finished.txt

A line is written once the bytes of its chunk are on the disk, so whatever kills the process costs
the chunks it was at and no others.
"""

import hashlib
import json
import logging
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.evaluation.embed import num_chunks, rows_of
from tgdp.evaluation.feature_files import (
    Array,
    Form,
    Sums,
    Writer,
    create,
    finished_in,
    line_of,
    mapped,
    sums_of,
    writing,
)
from tgdp.evaluation.feature_request import key_of

logger = logging.getLogger(__name__)

META, FINISHED, DONE = "meta.json", "finished.txt", "done.json"


class Entry:
    """One entry, there or not.

    Attributes:
        folder: Where it lies.
        form: Of each array.
        num_chunks: Chunks of the whole.

    Args:
        root: The cache.
        facts: What the features depend on.
    """

    def __init__(self, root: Path, facts: Mapping[str, Any]) -> None:
        self.folder = root / key_of(facts)
        clips, frames, width = facts["shape"]
        self.form = Form((clips, frames, width), np.dtype(facts["dtype"]))
        self.num_chunks = num_chunks(clips)
        self._facts = dict(facts)

    def is_done(self) -> bool:
        """Return whether all of it is there and every byte is what was written."""
        return is_marked(self.folder, self.form.shape[0]) and len(self._intact()) == self.num_chunks

    def arrays(self) -> tuple[Array, Array] | None:
        """Return audio and image, mapped; None where one is absent, cut short or of other shape."""
        audio = mapped(self.folder / "audio.npy", self.form)
        image = mapped(self.folder / "image.npy", self.form)
        return None if audio is None or image is None else (audio, image)

    @contextmanager
    def locked(self) -> Generator[None, None, None]:
        """Be the only process that writes the entry; wait for one that does.

        Raises:
            UserError: The cache cannot be written.
        """
        with writing(self.folder):
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = lock_of(self.folder)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logger.info("%s: another process computes these features; waiting", self.folder)
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def prepare(self) -> list[int]:
        """Make the entry ready to be written and return the chunks that are missing.

        What was finished earlier and is intact stays; a warning says what is not.

        Raises:
            UserError: The cache cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / META, json.dumps(self._facts, indent=1) + "\n")
            intact = self._intact()
            if damaged := len(finished_in(self.folder)) - len(intact):
                logger.warning(
                    "%s: %d chunks of features are damaged, they are computed again",
                    self.folder,
                    damaged,
                )
            (self.folder / DONE).unlink(missing_ok=True)
            self._gather(intact)
            if self.arrays() is None:
                create(self.folder / "audio.npy", self.form)
                create(self.folder / "image.npy", self.form)
        return sorted(set(range(self.num_chunks)) - set(intact))

    @contextmanager
    def writer(self, rank: int) -> Generator[Writer, None, None]:
        """Yield what writes the chunks of one rank; the entry is prepared.

        Raises:
            UserError: The cache cannot be written.
        """
        with ExitStack() as stack:
            with writing(self.folder):
                audio = stack.enter_context((self.folder / "audio.npy").open("r+b"))
                image = stack.enter_context((self.folder / "image.npy").open("r+b"))
                journal = stack.enter_context((self.folder / f"finished-{rank}.txt").open("ab"))
            yield Writer(self.folder, self.form, (audio, image, journal))

    def finish(self) -> None:
        """Mark the entry as done; every chunk is written.

        Raises:
            UserError: The cache cannot be written, or chunks of other ranks are not in it.
        """
        with writing(self.folder):
            told = finished_in(self.folder)
            if missing := self.num_chunks - len(told):
                raise UserError(
                    f"{self.folder}: {missing} of {self.num_chunks} chunks of features are not "
                    "there; do all ranks see this folder?"
                )
            self._gather(told)
            mark = {"rows": self.form.shape[0], "journal": _digest(self.folder / FINISHED)}
            write_whole(self.folder / DONE, json.dumps(mark) + "\n")

    def _intact(self) -> dict[int, Sums]:
        """Return the finished chunks whose bytes are what was written."""
        arrays, intact = self.arrays(), {}
        if arrays is None:
            return {}
        for number, sums in finished_in(self.folder).items():
            rows = rows_of(number, self.form.shape[0])
            stretch = slice(rows.start, rows.stop)
            if rows and sums_of(arrays[0][stretch], arrays[1][stretch]) == sums:
                intact[number] = sums
        return intact

    def _gather(self, told: Mapping[int, Sums]) -> None:
        """Put the lines of all ranks into one file, so that none is appended to a torn one."""
        lines = [line_of(number, sums) for number, sums in sorted(told.items())]
        write_whole(self.folder / FINISHED, "".join(lines))
        for file in self.folder.glob("finished-*.txt"):
            file.unlink()


def lock_of(folder: Path) -> FileLock:
    """Return the lock of an entry; it lies beside the folder, so that the folder can be removed."""
    return FileLock(folder.with_name(f"{folder.name}.lock"))


def is_marked(folder: Path, rows: int) -> bool:
    """Return whether an entry calls itself done."""
    try:
        mark = json.loads((folder / DONE).read_text(encoding="utf-8"))
        return mark == {"rows": rows, "journal": _digest(folder / FINISHED)}
    except (OSError, ValueError):
        return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
