"""How fast clips of the size of AudioSet's are prepared."""

import shutil
from pathlib import Path

import numpy as np

from tgdp.bench.timing import Timing, measure
from tgdp.data.manifest import read_manifest
from tgdp.data.prepare import prepare
from tgdp.data.synthetic.video import write_video

SECONDS, FPS, HEIGHT, WIDTH, SAMPLE_RATE = 10, 25, 360, 640, 44_100


def time_prepare(folder: Path, num_clips: int, workers: int, runs: int) -> Timing:
    """Return the timing of preparing 10-second 640x360 H.264 + AAC clips.

    Args:
        folder: Empty folder to work in.
        num_clips: Clips to make first and prepare in each run.
        workers: Processes that decode.
        runs: Runs that count.
    """
    clips, out = folder / "clips", folder / "out"
    clips.mkdir(parents=True)
    for number in range(num_clips):
        write_film(clips / f"clip{number:03d}.mp4", seed=number)

    def work() -> None:
        shutil.rmtree(out, ignore_errors=True)
        prepare(read_manifest(clips), out, workers=workers)

    return measure(f"{workers} worker{'s' * (workers > 1)}", work, runs)


def write_film(path: Path, seed: int) -> None:
    """Write a clip whose every picture differs, as in real footage: panning texture with grain."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (HEIGHT // 8, WIDTH // 4, 3))
    wide = small.repeat(8, 0).repeat(8, 1)
    grain = rng.normal(scale=6, size=(4, HEIGHT, WIDTH, 3))
    frames = (
        (wide[:, 2 * t : 2 * t + WIDTH] + grain[t % 4]).clip(0, 255).astype(np.uint8)
        for t in range(SECONDS * FPS)
    )
    sound = rng.normal(scale=3000, size=SECONDS * SAMPLE_RATE).astype(np.int16)
    write_video(path, frames, sound, fps=FPS, sample_rate=SAMPLE_RATE)
