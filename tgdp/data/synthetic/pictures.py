"""What a clip looks like: saturated objects over texture, grey blobs and grain."""

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tgdp.data.synthetic.factors import Clip, SoundingObject
from tgdp.data.synthetic.spec import SynthSpec

Floats = NDArray[np.floating]

REACH = 1.6
"""Half the side of a square that holds a shape, in its radii."""


def render(clip: Clip, spec: SynthSpec) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a clip, (size, size, 3) RGB."""
    rng = np.random.default_rng([*clip.entropy, 1])
    texture = _texture(rng, spec)
    blobs = [_draw_blob(rng) for _ in range(round(4 * spec.noise))]
    for frame in range(num_frames(spec)):
        picture = texture.copy()
        for blob in blobs:
            _paint_blob(picture, blob, frame / spec.fps)
        wobble = rng.normal(scale=0.01, size=2)
        for thing in clip.objects:
            _paint_object(picture, thing, wobble, len(clip.objects))
        grain = rng.standard_normal(picture.shape, dtype=np.float32)
        picture += np.float32(0.08 * spec.noise) * grain
        yield (picture.clip(0, 1) * 255).astype(np.uint8)


def num_frames(spec: SynthSpec) -> int:
    """Return how many frames a clip has."""
    return round(spec.seconds * spec.fps)


def _texture(rng: Generator, spec: SynthSpec) -> Floats:
    base = rng.uniform(0.2, 0.6)
    coarse = rng.normal(size=(8, 8, 1)).repeat(spec.size // 8 + 1, 0).repeat(spec.size // 8 + 1, 1)
    tint = rng.normal(scale=0.04, size=(1, 1, 3))
    texture = base + 0.12 * spec.noise * coarse[: spec.size, : spec.size] + tint
    return texture.astype(np.float32)


@dataclass(frozen=True)
class _Blob:
    """A grey disc that drifts and means nothing."""

    row: float
    column: float
    speed: tuple[float, float]
    radius: float
    grey: float


def _draw_blob(rng: Generator) -> _Blob:
    row, column = rng.uniform(size=2)
    down, across = rng.normal(scale=0.1, size=2)
    return _Blob(row, column, (down, across), rng.uniform(0.05, 0.15), rng.uniform(0.1, 0.9))


def _paint_blob(picture: Floats, blob: _Blob, seconds: float) -> None:
    row = (blob.row + blob.speed[0] * seconds) % 1
    column = (blob.column + blob.speed[1] * seconds) % 1
    _paint(picture, (row, column), 0, blob.radius, (blob.grey, blob.grey, blob.grey))


def _paint_object(
    picture: Floats, thing: SoundingObject, wobble: NDArray[np.float64], crowd: int
) -> None:
    radius = (0.09 + 0.13 * thing.size) / (1 if crowd == 1 else 1.3)
    row = 0.25 + 0.5 * thing.height + wobble[0]
    column = 0.18 + 0.64 * thing.place + wobble[1]
    # Hues end at 0.75 of the colour circle, so that the lowest and the highest pitch look unlike.
    colour = colorsys.hsv_to_rgb(0.75 * thing.hue, 0.95, 0.95)
    _paint(picture, (row, column), thing.shape, radius, colour)


def _paint(
    picture: Floats,
    centre: tuple[float, float],
    shape: int,
    radius: float,
    colour: tuple[float, float, float],
) -> None:
    """Paint a shape with a soft edge of one pixel; places and lengths in picture sides."""
    size = len(picture)
    reach = REACH * radius
    rows, columns = (
        slice(max(0, int((middle - reach) * size)), int((middle + reach) * size) + 2)
        for middle in centre
    )
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    down, across = axis[rows, None] - centre[0], axis[None, columns] - centre[1]
    cover = (0.5 - _outline(shape, down, across, radius) * size).clip(0, 1)[..., None]
    patch = picture[rows, columns]
    patch += cover * (np.asarray(colour, np.float32) - patch)


def _outline(shape: int, down: Floats, across: Floats, radius: float) -> Floats:
    """Return the distance to the outline, negative inside; all shapes have about the same area."""
    if shape == 0:
        return np.hypot(down, across) - radius
    if shape == 1:
        return np.maximum(np.abs(across), np.abs(down)) - 0.89 * radius
    if shape == 2:
        slanted = 0.87 * np.abs(across) + 0.5 * down
        return np.maximum(slanted, -down) - 0.78 * radius
    arm, bar = 0.42 * radius, 1.25 * radius
    upright = np.maximum(np.abs(across) - arm, np.abs(down) - bar)
    flat = np.maximum(np.abs(across) - bar, np.abs(down) - arm)
    return np.minimum(upright, flat)
