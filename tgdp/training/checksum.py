"""The SHA-256 of a file beside it, so that `sha256sum -c *.sha256` checks a whole folder."""

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from tgdp.data.files import write_whole

LINE = re.compile(r"^([0-9a-f]{64}) [ *]", re.MULTILINE)
"""Source: GNU coreutils, `info sha256sum`: digest, space, space or asterisk, name."""

CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What a file system says that knows no `fsync` of folders."""


class MismatchError(Exception):
    """A file is not what its checksum says; the message says what differs."""


def file_of(path: Path) -> Path:
    """Return where the checksum of a file lies."""
    return path.with_name(f"{path.name}.sha256")


def stored(path: Path) -> list[str] | None:
    """Return the checksums that a file may have, or None where none was stored.

    There are two while another file takes its place, the new one first. A checksum file that holds
    none, because it is damaged itself, gives an empty list.

    Raises:
        OSError: The checksum file cannot be read.
    """
    try:
        return LINE.findall(file_of(path).read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of what a file holds, 64 hexadecimal digits.

    Raises:
        OSError: The file is absent or cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[tuple[BufferedReader, bool]]:
    """Yield a file that agrees with its checksum, and whether there was one to compare with.

    Raises:
        OSError: The file is absent or cannot be read.
        MismatchError: It does not agree.
    """
    before = stored(path)
    with path.open("rb") as file:
        # Another whole file may take its place at any moment, its checksum first. What is open now
        # is named by what was stored before if it is the old one, by what is stored now if not.
        now = stored(path)
        has_checksum = before is not None or now is not None
        if has_checksum:
            _compare(path, file, [*(now or ()), *(before or ())])
            file.seek(0)
        yield file, has_checksum


def put_in_place(temporary: Path, path: Path, digest: str) -> None:
    """Rename a file to where it belongs, so that it never stands there without its checksum.

    The checksum is on the disk before the rename. While there is an earlier file of that name, both
    checksums are stored: whichever file a crash leaves is accepted.

    Args:
        temporary: On the disk already (`fsync`), in the folder of `path`.
        path: Replaced whole.
        digest: SHA-256 of `temporary`.

    Raises:
        OSError: The disk is full or not writable; what was there before is whole and accepted.
    """
    replaced = [known for known in _known(path) if known != digest]
    try:
        _store(path, [digest, *replaced])
        temporary.replace(path)
    except BaseException:
        if not path.exists():
            with suppress(OSError):
                file_of(path).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    if replaced:
        _store(path, [digest])


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can do that.

    Raises:
        OSError: The disk does not take them.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise
    finally:
        os.close(handle)


def _compare(path: Path, file: BufferedReader, known: list[str]) -> None:
    name = file_of(path).name
    if not known:
        raise MismatchError(f"{name} holds no checksum")
    found = hashlib.file_digest(file, "sha256").hexdigest()
    if found not in known:
        raise MismatchError(
            f"the SHA-256 of its {file.tell():,} bytes is {found}, {name} says {known[0]}"
        )


def _known(path: Path) -> list[str]:
    """Checksums by which the file that is to be replaced is accepted; none where there is none."""
    if not path.exists():
        return []
    known = stored(path)
    if known is None:
        with suppress(OSError):
            return [digest_of(path)]
    return known or []


def _store(path: Path, digests: list[str]) -> None:
    write_whole(file_of(path), "".join(f"{digest}  {path.name}\n" for digest in digests))
    sync_folder(path.parent)
