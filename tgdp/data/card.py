"""The card of a prepared data folder: what it holds, read in a moment and without torch or PyAV."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from tgdp.errors import UserError, unknown_name

FORMAT = "tgdp-shards"
VERSION = 1
CARD_FILE = "dataset.json"
REQUEST_FILE = "request.json"
"""Written when a preparation starts: what it was asked to do."""
SAMPLE_RATE = 16_000
MEDIA_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".flv",
        ".wmv",
        ".3gp",
    }
)


@dataclass(frozen=True)
class PrepareSettings:
    """How clips are stored.

    Attributes:
        num_frames: Frames kept of each clip.
        frame_size: Short side that larger frames are reduced to, pixels.
        max_seconds: What lies beyond is cut.
        min_seconds: A clip with less common picture and sound is refused.
        audio: How the 16-bit samples are stored; both keep them exactly.
        shard_clips: Clips a shard.
    """

    num_frames: int = 16
    frame_size: int = 256
    max_seconds: float = 10.24
    min_seconds: float = 1.0
    audio: Literal["flac", "wav"] = "flac"
    shard_clips: int = 1000

    def science(self) -> dict[str, Any]:
        """Return the settings that change what a sample holds, not those on how it is packed."""
        kept = asdict(self)
        del kept["audio"], kept["shard_clips"]
        return kept


@dataclass(frozen=True)
class DatasetCard:
    """What a prepared folder says of itself.

    Attributes:
        folder: Where it lies; not part of what it is.
        name: Name used in metric names.
        fingerprint: Hash of the content.
        splits: Clips in each split.
        num_frames: Frames of each clip.
        sample_rate: Samples a second of the stored sound.
        settings: The `PrepareSettings` it was made with.
        num_failures: Clips that were asked for and could not be read.
    """

    folder: Path
    name: str
    fingerprint: str
    splits: Mapping[str, int]
    num_frames: int
    sample_rate: int
    settings: Mapping[str, Any]
    num_failures: int

    def split(self, name: str) -> int:
        """Return how many clips a split holds.

        Raises:
            UserError: The folder has no such split; the valid ones are listed.
        """
        if name not in self.splits:
            raise UserError(f"{self.folder}: {unknown_name('split', name, self.splits)}")
        return self.splits[name]


def read_card(folder: Path) -> DatasetCard:
    """Return the card of a prepared folder.

    Raises:
        UserError: The folder is absent, was never prepared, is not finished or was written by
            another version of the format.
    """
    file = folder / CARD_FILE
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise _not_prepared(folder) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    _check_format(file, data)
    fields = [name for name in DatasetCard.__dataclass_fields__ if name != "folder"]
    for name in fields:
        if name not in data:
            raise UserError(f"{file}: field '{name}' is missing; it has {', '.join(data)}")
    return DatasetCard(folder=folder, **{name: data[name] for name in fields})


def fingerprint(
    settings: PrepareSettings,
    *,
    source: Mapping[str, Any] | None = None,
    clips: Iterable[tuple[str, str, tuple[str, ...], int]] = (),
    failed: Iterable[str] = (),
) -> str:
    """Return the name of the content, 16 hex digits; it needs no data, only what identifies it.

    Args:
        settings: How the clips are stored.
        source: What generated data was generated from; it stands for the clips.
        clips: Otherwise (id, split, labels, bytes of the media) of each clip asked for, in order.
        failed: Ids of the clips that could not be read.
    """
    identity = dict(source) if source is not None else [list(clip) for clip in clips]
    content = [VERSION, identity, settings.science(), sorted(failed)]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_format(file: Path, data: Any) -> None:
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        raise UserError(f"{file}: field 'format' is {found!r}, but '{FORMAT}' is wanted")
    if data.get("version") != VERSION:
        raise UserError(
            f"{file}: field 'version' is {data.get('version')!r}, but this program reads "
            f"{VERSION}; prepare the data again with `tgdp-data prepare`"
        )


def _not_prepared(folder: Path) -> UserError:
    if not folder.exists():
        return UserError(f"{folder}: no such folder")
    if not folder.is_dir():
        return UserError(f"{folder}: not a folder of prepared data")
    if (folder / REQUEST_FILE).exists():
        return UserError(
            f"{folder}: preparation has not finished; start the same `tgdp-data prepare` again "
            "and it goes on where it stopped"
        )
    if (folder / "manifest.json").exists() or _holds_media(folder):
        return UserError(f"{folder}: not prepared yet; run `tgdp-data prepare {folder} OUT`")
    return UserError(f"{folder}: not a folder of prepared data (it has no {CARD_FILE})")


def _holds_media(folder: Path) -> bool:
    return any(path.suffix.lower() in MEDIA_SUFFIXES for path in folder.iterdir())
