"""Fixtures that more than one folder of tests needs."""

import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from PIL import Image

from tgdp.data.card import PrepareSettings
from tgdp.data.index import write_tables
from tgdp.data.labels import vocabulary_of
from tgdp.data.shard_writer import ShardWriter

# Threads that wait for each other on a busy machine make small tensors ten times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell without job control starts what it puts in the background with Ctrl-C ignored, nohup with
# SIGHUP, and every child inherits that: the tests that send them would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest.register_assert_rewrite("tests.backend_contract", "tests.backend_place")

SHARED = Path(__file__).parents[2] / "shared"

MakePrepared = Callable[..., Path]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, metadata and golden figures beside the checkout."""
    if SHARED.is_dir():
        return SHARED
    reason = f"{SHARED} is absent: it holds third-party clips and figures that are not shipped"
    if os.environ.get("TGDP_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> MakePrepared:
    """Return a function that writes a small prepared folder without decoding any media."""

    def make(
        lengths: Sequence[float] = (2.0, 3.0),
        *,
        size: int = 64,
        audio: Literal["flac", "wav"] = "wav",
        shard_clips: int = 1000,
    ) -> Path:
        settings = PrepareSettings(audio=audio, frame_size=size, shard_clips=shard_clips)
        folder = tmp_path_factory.mktemp("prepared")
        writer = ShardWriter(folder / "shards", settings.shard_clips)
        for number, seconds in enumerate(lengths):
            _write_random_clip(writer, number, seconds, settings)
        writer.finish()
        vocabulary = vocabulary_of([("a",), ("b",)])
        write_tables(folder, writer.journal, vocabulary, settings, name="test")
        return folder

    return make


def _write_random_clip(
    writer: ShardWriter, number: int, seconds: float, settings: PrepareSettings
) -> None:
    rng = np.random.default_rng(number)
    clip = f"-clip.{number}"
    members = []
    for frame in range(settings.num_frames):
        pixels = rng.integers(0, 256, (settings.frame_size, settings.frame_size, 3), np.uint8)
        jpeg = io.BytesIO()
        Image.fromarray(pixels).save(jpeg, "JPEG", quality=95)
        members.append((f"{clip}/frame_{frame:02d}.jpg", jpeg.getvalue()))
    samples = rng.normal(500, 3000, round(seconds * 16_000)).astype(np.int16)
    sound = io.BytesIO()
    soundfile.write(sound, samples, 16_000, "PCM_16", format=settings.audio.upper())
    members.append((f"{clip}/audio.{settings.audio}", sound.getvalue()))
    members.append((f"{clip}/meta.json", json.dumps({"id": clip}).encode()))
    record = {
        "id": clip,
        "split": "train" if number % 2 == 0 else "test",
        "labels": ["a", "b"][: 1 + number % 2],
        "bytes": 1,
        "seconds": seconds,
        "num_samples": len(samples),
        "mean": float(samples.mean()) / 32768,
    }
    writer.write_clip(members, record)
