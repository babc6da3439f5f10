"""The hidden causes of a clip: objects that are seen and heard, and the noise around them."""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from tgdp.data.synthetic.spec import HUES, SHAPES, SynthSpec


@dataclass(frozen=True)
class SoundingObject:
    """One object; what is seen of it and what is heard of it share these causes.

    Attributes:
        shape: Index into `SHAPES`; heard as the spacing of the harmonics.
        hue: In [0, 1); heard as the pitch.
        place: Horizontal place in [0, 1]; heard as the onset within each period.
        size: In [0, 1]; heard as the loudness.
        height: Vertical place in [0, 1]; not heard.
    """

    shape: int
    hue: float
    place: float
    size: float
    height: float

    @property
    def label(self) -> int:
        """Class: shape x hue bin."""
        return self.shape * len(HUES) + int(self.hue * len(HUES))


@dataclass(frozen=True)
class Clip:
    """The causes of one clip.

    Attributes:
        objects: One in the single-label set, one to three in the multi-label set.
        entropy: Seed of everything that carries no meaning: texture, distractors, hiss.
    """

    objects: tuple[SoundingObject, ...]
    entropy: tuple[int, ...]

    @property
    def labels(self) -> tuple[int, ...]:
        """Distinct classes of its objects, in order."""
        return tuple(sorted({thing.label for thing in self.objects}))


def draw_clip(spec: SynthSpec, split: str, index: int) -> Clip:
    """Return the causes of one clip, a function of the seed, the split and the index alone."""
    entropy = (spec.seed, zlib.crc32(split.encode()), index)
    rng = np.random.default_rng(entropy)
    num_objects = int(rng.integers(1, 4)) if split.startswith("multi_") else 1
    return Clip(tuple(_draw_object(rng) for _ in range(num_objects)), entropy)


def _draw_object(rng: Generator) -> SoundingObject:
    hue, place, size, height = (float(value) for value in rng.uniform(size=4))
    return SoundingObject(int(rng.integers(len(SHAPES))), hue, place, size, height)
