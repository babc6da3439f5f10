"""What one worker does with one clip: decode it and encode it as it will be stored."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from tgdp.data.card import SAMPLE_RATE, PrepareSettings
from tgdp.data.demux import ClipError
from tgdp.data.manifest import Clip
from tgdp.data.media import check_length, check_loud, decode_clip, decode_sound, stored_size
from tgdp.data.timing import frame_times

JPEG_QUALITY = 95


@dataclass(frozen=True)
class PackedClip:
    """A clip ready to be written.

    Attributes:
        record: What the journal notes of it; `reason` where it failed.
        members: Names and contents for the shard; none where it failed.
    """

    record: dict[str, Any]
    members: Sequence[tuple[str, bytes]] = ()


def pack_clip(job: tuple[Clip, PrepareSettings]) -> PackedClip:
    """Return a clip as it will be stored, or the reason why it cannot be."""
    clip, settings = job
    record: dict[str, Any] = {"id": clip.id, "split": clip.split, "labels": clip.labels, "bytes": 0}
    try:
        if clip.path.is_file():
            record["bytes"] = clip.path.stat().st_size
        return _pack(clip, settings, record)
    except ClipError as error:
        return failure(record, clip, str(error))
    except OSError as error:
        return failure(record, clip, f"cannot be read: {error.strerror or error}")
    except Exception as error:
        # One strange file among millions must not stop the others; its reason is kept.
        return failure(record, clip, f"unexpected {type(error).__name__}: {error}")


def failure(record: dict[str, Any], clip: Clip, reason: str) -> PackedClip:
    """Return a clip that could not be read."""
    return PackedClip({**record, "path": str(clip.path), "reason": reason})


def _pack(clip: Clip, settings: PrepareSettings, record: dict[str, Any]) -> PackedClip:
    if clip.frames is None:
        decoded = decode_clip(clip.path, settings)
        frames = [_jpeg(Image.fromarray(pixels)) for pixels in decoded.frames]
        samples, seconds = decoded.samples, decoded.seconds
        source = {"fps": decoded.fps, "size": decoded.size, "start": decoded.start}
    else:
        samples = decode_sound(clip.path, settings.max_seconds)
        seconds = check_length(len(samples) / SAMPLE_RATE, settings.min_seconds)
        check_loud(samples)
        frames = _extracted_frames(clip, settings)
        source = {"extracted": True}
    record |= {
        "seconds": seconds,
        "num_samples": len(samples),
        "mean": float(samples.mean()) / -int(np.iinfo(np.int16).min),
    }
    times = frame_times(seconds, settings.num_frames)
    kept = {key: record[key] for key in ("id", "split", "labels", "seconds")}
    meta = {**kept, "frame_times": times, **source}
    names = [f"frame_{number:02d}.jpg" for number in range(len(frames))]
    contents = [*frames, _encode(samples, settings.audio), json.dumps(meta).encode()]
    paths = [f"{clip.id}/{name}" for name in (*names, f"audio.{settings.audio}", "meta.json")]
    return PackedClip(record, list(zip(paths, contents, strict=True)))


def _encode(samples: NDArray[np.int16], kind: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, "PCM_16", format=kind.upper())
    return file.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


def _extracted_frames(clip: Clip, settings: PrepareSettings) -> list[bytes]:
    folder = clip.frames or Path()
    files = [folder / f"frame_{i}" / f"{clip.id}.jpg" for i in range(settings.num_frames)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise ClipError(f"{len(missing)} of {len(files)} frames missing, first {missing[0]}")
    return [_stored(file, settings.frame_size) for file in files]


def _stored(file: Path, short_side: int) -> bytes:
    data = file.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        size = stored_size(*image.size, short_side)
        if size == image.size and image.format == "JPEG":
            image.load()  # a damaged picture is found out now
            return data  # encoding it again would only lose quality
        return _jpeg(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
