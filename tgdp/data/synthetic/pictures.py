"""What a clip looks like: saturated objects over texture, grey blobs and grain."""

import colorsys
from collections.abc import Iterator

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tgdp.data.synthetic.factors import Clip, SoundingObject
from tgdp.data.synthetic.spec import SynthSpec

Floats = NDArray[np.floating]


def render(clip: Clip, spec: SynthSpec) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip, (size, size, 3) RGB."""
    rng = np.random.default_rng([*clip.entropy, 1])
    canvas = _texture(rng, spec)
    blobs = [_Blob(rng) for _ in range(round(4 * spec.noise))]
    rows, columns = _coordinates(spec.size)
    for frame in range(num_frames(spec)):
        picture = canvas.copy()
        for blob in blobs:
            blob.paint(picture, rows, columns, frame / spec.fps)
        wobble = rng.normal(scale=0.01, size=2)
        for thing in clip.objects:
            _paint(picture, thing, rows - wobble[0], columns - wobble[1], len(clip.objects))
        picture += rng.normal(scale=0.08 * spec.noise, size=picture.shape)
        yield (picture.clip(0, 1) * 255).astype(np.uint8)


def num_frames(spec: SynthSpec) -> int:
    """Return how many frames a clip has."""
    return round(spec.seconds * spec.fps)


def _coordinates(size: int) -> tuple[Floats, Floats]:
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _texture(rng: Generator, spec: SynthSpec) -> Floats:
    base = rng.uniform(0.2, 0.6)
    coarse = rng.normal(size=(8, 8, 1)).repeat(spec.size // 8 + 1, 0).repeat(spec.size // 8 + 1, 1)
    tint = rng.normal(scale=0.04, size=(1, 1, 3))
    texture = base + 0.12 * spec.noise * coarse[: spec.size, : spec.size] + tint
    return texture.astype(np.float32)


class _Blob:
    """A grey disc that drifts and means nothing."""

    def __init__(self, rng: Generator) -> None:
        self.row, self.column = rng.uniform(size=2)
        self.speed = rng.normal(scale=0.1, size=2)
        self.radius = rng.uniform(0.05, 0.15)
        self.grey = rng.uniform(0.1, 0.9)

    def paint(self, picture: Floats, rows: Floats, columns: Floats, seconds: float) -> None:
        row, column = (
            (self.row + self.speed[0] * seconds) % 1,
            (self.column + self.speed[1] * seconds) % 1,
        )
        distance = np.hypot(rows - row, columns - column) - self.radius
        _blend(picture, distance, np.full(3, self.grey))


def _paint(
    picture: Floats, thing: SoundingObject, rows: Floats, columns: Floats, crowd: int
) -> None:
    radius = (0.09 + 0.13 * thing.size) / (1 if crowd == 1 else 1.3)
    row = 0.25 + 0.5 * thing.height
    column = 0.18 + 0.64 * thing.place
    distance = _outline(thing.shape, rows - row, columns - column, radius)
    # Hues end at 0.75 of the colour circle, so that the lowest and the highest pitch look unlike.
    colour = np.array(colorsys.hsv_to_rgb(0.75 * thing.hue, 0.95, 0.95))
    _blend(picture, distance, colour)


def _outline(shape: int, rows: Floats, columns: Floats, radius: float) -> Floats:
    """Return the distance to the outline, negative inside, for a shape of equal area."""
    across, down = np.abs(columns), np.abs(rows)
    if shape == 0:
        return np.hypot(rows, columns) - radius
    if shape == 1:
        return np.maximum(across, down) - 0.89 * radius
    if shape == 2:
        slanted = 0.87 * across + 0.5 * rows
        return np.maximum(slanted, -rows) - 0.78 * radius + 0.0 * down
    arm = 0.42 * radius
    bar = 1.25 * radius
    upright = np.maximum(across - arm, down - bar)
    flat = np.maximum(across - bar, down - arm)
    return np.minimum(upright, flat)


def _blend(picture: Floats, distance: Floats, colour: NDArray[np.float64]) -> None:
    edge = picture.shape[0]
    cover = (0.5 - distance * edge).clip(0, 1)[..., None]
    picture *= 1 - cover
    picture += cover * colour
