"""Lists of clips as people have them: CAV-MAE JSON, CSV, or just a folder of media files."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.data.card import MEDIA_SUFFIXES
from tgdp.data.labels import LabelVocabulary, read_labels, vocabulary_of
from tgdp.errors import UserError

DEFAULT_SPLIT = "all"
PLACEHOLDER = re.compile(r"<[A-Z0-9_]+>")
"""As in `<YOUR_VGGS_PATH>/audio/x.wav`; the published lists are full of them."""


@dataclass(frozen=True)
class Clip:
    """One clip to prepare.

    Attributes:
        id: Its name; may start with `-` and hold dots.
        path: A media file with picture and sound; where `frames` is given, the sound alone.
        labels: Mids.
        split: Split it belongs to.
        frames: Folder that holds `frame_{i}/{id}.jpg`, for data extracted in CAV-MAE's manner.
    """

    id: str
    path: Path
    labels: tuple[str, ...] = ()
    split: str = DEFAULT_SPLIT
    frames: Path | None = None


@dataclass(frozen=True)
class Manifest:
    """The clips to prepare, and the labels they may have.

    Attributes:
        file: Where the list was read; for a folder of media files, the folder.
        clips: In the order of the list.
        vocabulary: Every label.
        name: Name of the data, where the list gives one.
        source: What generated data was generated from.
    """

    file: Path
    clips: tuple[Clip, ...]
    vocabulary: LabelVocabulary
    name: str | None = None
    source: Mapping[str, Any] | None = None


def read_manifest(path: Path, labels: Path | None = None, root: Path | None = None) -> Manifest:
    """Return the clips that a JSON file, a CSV file or a folder lists.

    Args:
        path: JSON in CAV-MAE's form, CSV with `video_id,path[,label|labels][,split]`, or a folder;
            a folder that holds `manifest.json` means that file.
        labels: Label list, `index,mid,display_name`; wins over the one the manifest names.
        root: Stands for placeholders in paths, and is where relative paths start.

    Raises:
        UserError: Something is missing, doubled or unknown; the message names file and entry.
    """
    if path.is_dir() and (path / "manifest.json").exists():
        path = path / "manifest.json"
    if path.is_dir():
        return _finish(path, [_bare(file) for file in _media_files(path)], labels, {})
    if not path.exists():
        raise UserError(f"{path}: no such manifest or folder")
    reader = _Reader(path, root)
    if path.suffix.lower() == ".csv":
        return _finish(path, list(reader.csv_clips()), labels, {})
    top = _read_json(path)
    named = top.get("labels_csv")
    if labels is None and named:
        labels = path.parent / str(named)
    return _finish(path, list(reader.json_clips(top["data"])), labels, top)


class _Reader:
    """Turns entries into clips, with an error message that says where it stood."""

    def __init__(self, file: Path, root: Path | None) -> None:
        self.file = file
        self.root = root

    def json_clips(self, entries: Sequence[Any]) -> Iterator[Clip]:
        for number, entry in enumerate(entries, 1):
            where = f"{self.file}: entry {number}"
            if not isinstance(entry, dict):
                raise UserError(f"{where}: not an object with fields but {entry!r}")
            name = _field(where, entry, "video_id")
            labels, split = _words(entry.get("labels")), str(entry.get("split") or DEFAULT_SPLIT)
            if entry.get("raw_video_path"):
                media = self._path(where, _field(where, entry, "raw_video_path"))
                yield Clip(name, media, labels, split)
                continue
            sound = self._path(where, _field(where, entry, "wav"))
            frames = self._path(where, _field(where, entry, "video_path"))
            yield Clip(name, sound, labels, split, frames)

    def csv_clips(self) -> Iterator[Clip]:
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as lines:
                for number, row in enumerate(csv.DictReader(lines), 1):
                    where = f"{self.file}: entry {number}"
                    name, path = _field(where, row, "video_id"), _field(where, row, "path")
                    one = row.get("label")
                    labels = (one,) if one else _words(row.get("labels"))
                    split = row.get("split") or DEFAULT_SPLIT
                    yield Clip(name, self._path(where, path), labels, split)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{self.file}: not a CSV file ({error})") from error

    def _path(self, where: str, text: str) -> Path:
        found = PLACEHOLDER.search(text)
        if found and self.root is None:
            raise UserError(
                f"{where}: the path '{text}' holds the placeholder {found[0]}; "
                "say where the data lies with --root DIR"
            )
        if found:
            text = PLACEHOLDER.sub(lambda _: str(self.root), text)
        return (self.root or self.file.parent) / text


def _read_json(file: Path) -> dict[str, Any]:
    try:
        top = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: neither CSV nor JSON ({error})") from error
    if not isinstance(top, dict) or not isinstance(top.get("data"), list):
        found = ", ".join(top) if isinstance(top, dict) else type(top).__name__
        raise UserError(f"{file}: field 'data', the list of clips, is missing; it has {found}")
    return top


def _field(where: str, entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not value:
        state = "empty" if name in entry else "missing"
        found = ", ".join(str(key) for key in entry)
        raise UserError(f"{where}: field '{name}' is {state}; it has {found}")
    return str(value)


def _words(labels: Any) -> tuple[str, ...]:
    words = labels if isinstance(labels, list) else str(labels or "").split(",")
    return tuple(text for word in words if (text := str(word).strip()))


def _bare(file: Path) -> Clip:
    return Clip(file.stem, file)


def _media_files(folder: Path) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in MEDIA_SUFFIXES)
    if not files:
        kinds = " ".join(sorted(MEDIA_SUFFIXES))
        raise UserError(f"{folder}: holds neither manifest.json nor a media file ({kinds})")
    return files


def _finish(file: Path, clips: list[Clip], labels: Path | None, top: Mapping[str, Any]) -> Manifest:
    if not clips:
        raise UserError(f"{file}: lists no clip")
    _check_ids(file, clips)
    if labels is None:
        vocabulary = vocabulary_of(clip.labels for clip in clips)
    else:
        vocabulary = read_labels(labels)
        clips = [_known(file, n, clip, vocabulary) for n, clip in enumerate(clips, 1)]
    return Manifest(file, tuple(clips), vocabulary, top.get("name"), top.get("source"))


def _check_ids(file: Path, clips: Sequence[Clip]) -> None:
    seen: dict[str, int] = {}
    for number, clip in enumerate(clips, 1):
        if "/" in clip.id or "\0" in clip.id or clip.id in (".", ".."):
            raise UserError(f"{file}: entry {number}: the id '{clip.id}' cannot name a folder")
        if clip.id in seen:
            raise UserError(
                f"{file}: entry {number}: the id '{clip.id}' is that of entry {seen[clip.id]} too"
            )
        seen[clip.id] = number


def _known(file: Path, number: int, clip: Clip, vocabulary: LabelVocabulary) -> Clip:
    # A display name may hold commas ("Male speech, man speaking"), so the whole is tried first.
    whole = vocabulary.mid(", ".join(clip.labels))
    if whole is not None:
        return Clip(clip.id, clip.path, (whole,), clip.split, clip.frames)
    mids: list[str] = []
    for word in clip.labels:
        mid = vocabulary.mid(word)
        if mid is None:
            raise vocabulary.refusal(word, f"{file}: entry {number} ('{clip.id}')")
        mids.append(mid)
    return Clip(clip.id, clip.path, tuple(mids), clip.split, clip.frames)
