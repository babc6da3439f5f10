"""Writing shards so that a kill at any moment costs at most the clip in hand.

A shard grows as `NNNNNN.tar.part`; after each clip a line in `NNNNNN.part.jsonl` says where the
clip ends. Whoever continues cuts the shard back to the last line. A full shard is renamed.
"""

import contextlib
import io
import itertools
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tgdp.data.files import write_whole

END_OF_TAR = b"\0" * 1024
RECORD = 512


class ShardWriter:
    """Appends clips to the newest shard of a folder, and finds where an earlier attempt stopped.

    Args:
        folder: Holds the shards; made if absent.
        shard_clips: Clips a shard.
    """

    def __init__(self, folder: Path, shard_clips: int) -> None:
        self.folder = folder
        self.shard_clips = shard_clips
        folder.mkdir(parents=True, exist_ok=True)
        self.journal: list[dict[str, Any]] = []
        """Every line so far: clips written and clips that failed, in the order asked for."""
        self._shard = 0
        self._clips = 0
        self._recover()
        self._open()

    def write_clip(self, members: Sequence[tuple[str, bytes]], record: Mapping[str, Any]) -> None:
        """Append a clip and note it, with the place of each member, in the journal."""
        if self._clips == self.shard_clips:
            self._next_shard()
        block, offsets = tar_members(members, self._tar.tell())
        self._tar.write(block)
        # The journal may only speak of bytes that a killed process leaves behind.
        self._tar.flush()
        sizes = [len(data) for _, data in members]
        place = {"shard": self._shard, "offset": offsets, "size": sizes, "end": self._tar.tell()}
        self._note({**record, **place})
        self._clips += 1

    def write_failure(self, record: Mapping[str, Any]) -> None:
        """Note a clip that could not be read."""
        self._note(record)

    def finish(self) -> None:
        """Close the last shard; one that holds no clip is not kept."""
        if self._clips:
            self._close_shard()
            return
        self.close()
        part_file(self.folder, self._shard).unlink()

    def forget_journal(self) -> None:
        """Remove the journals: the folder's tables hold what they said."""
        for shard in range(self._shard + 1):
            journal_file(self.folder, shard).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files as they are; the next attempt continues from here."""
        # On a full disk the last bytes cannot be flushed; they belong to no noted clip.
        for file in (self._tar, self._lines):
            with contextlib.suppress(OSError):
                file.close()

    def _note(self, record: Mapping[str, Any]) -> None:
        self._lines.write(json.dumps(record) + "\n")
        self._lines.flush()
        self.journal.append(dict(record))

    def _next_shard(self) -> None:
        self._close_shard()
        self._shard, self._clips = self._shard + 1, 0
        self._open()

    def _close_shard(self) -> None:
        self._tar.write(END_OF_TAR)
        for file in (self._tar, self._lines):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        part_file(self.folder, self._shard).rename(tar_file(self.folder, self._shard))

    def _open(self) -> None:
        self._tar = part_file(self.folder, self._shard).open("ab")
        self._lines = journal_file(self.folder, self._shard).open("a", encoding="utf-8")

    def _recover(self) -> None:
        while tar_file(self.folder, self._shard).exists():
            self.journal += _whole_lines(journal_file(self.folder, self._shard))
            self._shard += 1
        part = part_file(self.folder, self._shard)
        if not part.exists():
            journal_file(self.folder, self._shard).unlink(missing_ok=True)
            return
        written = part.stat().st_size
        noted = _whole_lines(journal_file(self.folder, self._shard))
        # After a power cut the journal may be ahead of the shard; nothing behind the gap counts.
        lines = list(itertools.takewhile(lambda line: line.get("end", 0) <= written, noted))
        os.truncate(part, max((line.get("end", 0) for line in lines), default=0))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_whole(journal_file(self.folder, self._shard), text)
        self.journal += lines
        self._clips = sum("end" in line for line in lines)


def tar_file(folder: Path, shard: int) -> Path:
    """Return where a finished shard lies."""
    return folder / f"{shard:06d}.tar"


def part_file(folder: Path, shard: int) -> Path:
    """Return where a shard lies while it grows."""
    return folder / f"{shard:06d}.tar.part"


def journal_file(folder: Path, shard: int) -> Path:
    """Return where the lines on a shard's clips lie until the whole folder is finished."""
    return folder / f"{shard:06d}.part.jsonl"


def tar_members(members: Sequence[tuple[str, bytes]], position: int = 0) -> tuple[bytes, list[int]]:
    """Return members as tar records and the offset of each one's content.

    Owner and time are fixed, so that the same clips give the same bytes.

    Args:
        members: Name and content, in order.
        position: Offset in the shard at which the records will lie.
    """
    block = io.BytesIO()
    offsets: list[int] = []
    for name, data in members:
        header = tarfile.TarInfo(name)
        header.size = len(data)
        # A name that plain USTAR cannot hold gets a PAX header in front of the usual one.
        block.write(header.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict"))
        offsets.append(position + block.tell())
        block.write(data)
        block.write(b"\0" * (-len(data) % RECORD))
    return block.getvalue(), offsets


def _whole_lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
