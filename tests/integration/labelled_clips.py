"""Prepared folders of clips with given names and labels, whose look and sound tell their class."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from PIL import Image

from tgdp.data.card import PrepareSettings
from tgdp.data.index import write_tables
from tgdp.data.labels import LabelVocabulary
from tgdp.data.shard_writer import ShardWriter

SETTINGS = PrepareSettings(num_frames=2, frame_size=32, audio="wav")
RATE, SECONDS = 16_000, 1.6


class Labelled(NamedTuple):
    """A clip that is to be made."""

    id: str
    labels: tuple[str, ...]
    split: str


def write_labelled(
    folder: Path, clips: Sequence[Labelled], vocabulary: LabelVocabulary, name: str
) -> Path:
    """Write a prepared folder without decoding any media and return it.

    Args:
        folder: Where.
        clips: Names, labels, splits.
        vocabulary: Every label there is.
        name: Of the data.
    """
    writer = ShardWriter(folder / "shards", SETTINGS.shard_clips)
    for number, clip in enumerate(clips):
        kind = vocabulary.mids.index(clip.labels[0])
        members, samples = _media(clip.id, kind, np.random.default_rng(number))
        record = {
            **clip._asdict(),
            "labels": list(clip.labels),
            "bytes": 1,
            "seconds": SECONDS,
            "num_samples": len(samples),
            "mean": float(samples.mean()) / 32768,
        }
        writer.write_clip(members, record)
    writer.finish()
    write_tables(folder, writer.journal, vocabulary, SETTINGS, name=name)
    return folder


def _media(
    clip: str, kind: int, rng: np.random.Generator
) -> tuple[list[tuple[str, bytes]], np.ndarray]:
    """Return the members of a clip, a colour and a pitch for each kind, and its samples."""
    colour = np.random.default_rng(kind).integers(0, 256, 3)
    members: list[tuple[str, bytes]] = []
    for frame in range(SETTINGS.num_frames):
        noise = rng.integers(-20, 21, (SETTINGS.frame_size, SETTINGS.frame_size, 3))
        jpeg = io.BytesIO()
        Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8)).save(jpeg, "JPEG")
        members.append((f"{clip}/frame_{frame:02d}.jpg", jpeg.getvalue()))
    moments = np.arange(round(RATE * SECONDS)) / RATE
    tone = 8000 * np.sin(2 * np.pi * (200 + 97 * (kind % 60)) * moments)
    samples = (tone + rng.normal(0, 300, len(moments))).astype(np.int16)
    sound = io.BytesIO()
    soundfile.write(sound, samples, RATE, "PCM_16", format="WAV")
    members.append((f"{clip}/audio.wav", sound.getvalue()))
    members.append((f"{clip}/meta.json", json.dumps({"id": clip}).encode()))
    return members, samples
