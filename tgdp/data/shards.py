"""Random access to prepared clips: a picture or a stretch of sound is one read at an offset."""

import functools
import io
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tgdp.data.card import read_card
from tgdp.data.labels import LabelVocabulary, read_labels
from tgdp.errors import UserError

WAV_HEADER = 44
"""Bytes before the samples of a 16-bit mono WAV file as `soundfile` writes it."""
FULL_SCALE = 32768.0
INDEX_FIELDS = ["shard", "offset", "size", "seconds", "num_samples", "mean", "split", "split_names"]
OPEN_SHARDS = 256
"""Kept open at once; the usual limit of a process is 1,024 files, and AudioSet has 2,000 shards."""


@dataclass(frozen=True)
class Sample:
    """One clip as it is stored: JPEG pictures, WAV or FLAC sound, and what is known of it."""

    id: str
    frames: list[bytes]
    audio: bytes
    meta: dict[str, Any]


class PreparedClips:
    """The clips of a prepared folder, by number.

    Safe in forked and spawned loader workers: every read names its own offset, and a copy sent to
    another process opens its own files. Not for several threads at once.

    Args:
        folder: A folder that `tgdp-data prepare` finished.

    Raises:
        UserError: The folder is not prepared, or a file of it is missing or damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = read_card(folder)
        try:
            with (folder / "index.npz").open("rb") as file, np.load(file) as index:
                self._index = {name: index[name] for name in index.files}
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{folder / 'index.npz'}: cannot be read ({error})") from error
        if missing := [name for name in INDEX_FIELDS if name not in self._index]:
            raise UserError(f"{folder / 'index.npz'}: field '{missing[0]}' is missing")
        self._shards: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._index["shard"])

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)

    def __del__(self) -> None:
        for descriptor in getattr(self, "_shards", {}).values():
            os.close(descriptor)

    @property
    def num_frames(self) -> int:
        """Frames of each clip."""
        return self.card.num_frames

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Length of each clip, seconds: the stretch that its frame times divide."""
        return self._index["seconds"]

    @property
    def num_samples(self) -> NDArray[np.int64]:
        """Sound samples of each clip."""
        return self._index["num_samples"]

    @functools.cached_property
    def ids(self) -> list[str]:
        """Id of each clip."""
        return [record["id"] for record in self._records()]

    @functools.cached_property
    def labels(self) -> list[tuple[str, ...]]:
        """Label mids of each clip."""
        return [tuple(record["labels"]) for record in self._records()]

    @functools.cached_property
    def vocabulary(self) -> LabelVocabulary:
        """Every label, in the order of the classes."""
        return read_labels(self.folder / "labels.csv")

    def indices(self, split: str) -> NDArray[np.int64]:
        """Return the numbers of the clips of a split, in order.

        Raises:
            UserError: There is no such split; the valid ones are listed.
        """
        self.card.split(split)
        code = self._index["split_names"].tolist().index(split)
        return np.flatnonzero(self._index["split"] == code)

    def frame(self, i: int, frame: int) -> bytes:
        """Return one picture of clip `i`, as JPEG."""
        return self._member(i, frame)

    def waveform(self, i: int, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Return samples of clip `i` in [-1, 1] with the mean of the whole clip removed.

        Args:
            i: Number of the clip.
            start: First sample.
            stop: Sample to end before; the end of the clip if that comes first.
        """
        end = int(self.num_samples[i])
        stop = end if stop is None else min(stop, end)
        if self.card.settings["audio"] == "wav":
            raw = self._member(i, self.num_frames, WAV_HEADER + 2 * start, 2 * (stop - start))
            samples = np.frombuffer(raw, dtype="<i2")
        else:
            with soundfile.SoundFile(io.BytesIO(self._member(i, self.num_frames))) as file:
                file.seek(start)
                samples = file.read(stop - start, dtype="int16")
        if len(samples) != stop - start:
            raise UserError(f"{self._shard_file(i)}: the sound of clip {self.ids[i]} is cut short")
        return samples * np.float32(1 / FULL_SCALE) - self._index["mean"][i]

    def read(self, i: int) -> Sample:
        """Return everything stored of clip `i`."""
        members = [self._member(i, m) for m in range(self.num_frames + 2)]
        return Sample(self.ids[i], members[:-2], members[-2], json.loads(members[-1]))

    def _member(self, i: int, member: int, skip: int = 0, size: int | None = None) -> bytes:
        offset = int(self._index["offset"][i, member]) + skip
        wanted = int(self._index["size"][i, member]) - skip if size is None else size
        data = os.pread(self._descriptor(i), wanted, offset)
        if len(data) != wanted:
            raise UserError(f"{self._shard_file(i)}: cut short; prepare the data again")
        return data

    def _descriptor(self, i: int) -> int:
        shard = int(self._index["shard"][i])
        if shard not in self._shards:
            if len(self._shards) >= OPEN_SHARDS:
                os.close(self._shards.pop(next(iter(self._shards))))
            try:
                self._shards[shard] = os.open(self._shard_file(i), os.O_RDONLY)
            except OSError as error:
                raise UserError(f"{self._shard_file(i)}: {error.strerror}") from error
        return self._shards[shard]

    def _shard_file(self, i: int) -> Path:
        return self.folder / "shards" / f"{int(self._index['shard'][i]):06d}.tar"

    def _records(self) -> list[dict[str, Any]]:
        file = self.folder / "samples.jsonl"
        try:
            return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: cannot be read ({error})") from error
