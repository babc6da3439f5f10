"""Files that are there whole or not at all, and files that grow by whole lines."""

import os
from collections.abc import Iterable
from pathlib import Path

ONE_READ = 1 << 16


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or what was there before."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Add lines to a file and flush them to the disk; nothing is touched where there are none.

    Args:
        path: The file; its folder is there.
        lines: Without their ends.
    """
    text = "".join(f"{line}\n" for line in lines).encode()
    if not text:
        return
    with path.open("a+b") as file:
        end = file.tell()
        # A line torn by a crash must not swallow the next one.
        is_torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"
        file.write(b"\n" * is_torn + text)
        file.flush()
        os.fsync(file.fileno())


def read_small(path: str) -> bytes:
    """Return the bytes of a file of some kilobytes, with as few calls as the system needs.

    A plan reads ten thousands of them, and Python's own files take three times as long.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(file, ONE_READ)
        while len(found) % ONE_READ == 0 and (more := os.read(file, ONE_READ)):
            found += more
        return found
    finally:
        os.close(file)
