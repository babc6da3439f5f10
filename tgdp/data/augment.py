"""What training may do to a pair: crop and flip the picture, roll the sound. Off by default.

Nothing here draws: every function is told what to do by numbers in [0, 1) that the caller has from
`tgdp.data.draws`, so that the same pair of the same epoch always comes out the same.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

CROP_SCALE = (0.08, 1.0)
CROP_RATIO = (0.9, 1.1)
"""Area of a crop, as a share of the picture's, and its width to its height; released loader."""

TRIES = 10
"""Crops that are drawn before the centre is taken; torchvision's number."""

PICTURE_NUMBERS = 1 + 4 * TRIES
"""Numbers that `augment_picture` needs."""


class Box(NamedTuple):
    """Edges of a crop in pixels, as `PIL.Image.Image.crop` takes them."""

    left: int
    top: int
    right: int
    bottom: int


def augment_picture(image: Image.Image, size: int, numbers: Sequence[float]) -> Image.Image:
    """Return a random crop of a picture, resized to a square, in one draw of two mirrored.

    Args:
        image: The whole picture.
        size: Side of the result, pixels.
        numbers: `PICTURE_NUMBERS` of them in [0, 1): the first decides the flip.

    Source: released loader, its `augmentation`.
    """
    # Upstream: bilinear, torchvision's default; here the filter is that of the plain picture.
    image = image.crop(crop_box(numbers[1:], *image.size, CROP_SCALE, CROP_RATIO))
    image = image.resize((size, size), Image.Resampling.BICUBIC)
    return flip(image) if numbers[0] < 0.5 else image


def crop_box(
    numbers: Sequence[float],
    width: int,
    height: int,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Box:
    """Return a crop of random area, shape and place; the centre if none of the tries fits.

    The area is uniform and so is the logarithm of the shape; a try that is larger than the picture
    on one side is thrown away.

    Args:
        numbers: Four in [0, 1) for each try: area, shape, top, left.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        scale: Least and greatest area, as shares of the picture's.
        ratio: Least and greatest width to height.

    Source: torchvision's RandomResizedCrop.
    """
    shapes = [math.log(bound) for bound in ratio]
    for first in range(0, len(numbers), 4):
        area, shape, down, across = numbers[first : first + 4]
        pixels = width * height * _between(scale, area)
        stretch = math.exp(_between(shapes, shape))
        wide, tall = round(math.sqrt(pixels * stretch)), round(math.sqrt(pixels / stretch))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(across * (width - wide + 1)), int(down * (height - tall + 1))
            return Box(left, top, left + wide, top + tall)
    return _centre(width, height, ratio)


def flip(image: Image.Image) -> Image.Image:
    """Return a picture with left and right exchanged."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def roll_steps(number: float, share: float, num_steps: int) -> int:
    """Return by how many steps a spectrogram is rolled: uniform between -n and n.

    Args:
        number: In [0, 1).
        share: n as a share of the spectrogram; above 0 it is one step at least.
        num_steps: Steps of the spectrogram.

    Source: released loader, its `time_shifting`.
    """
    most = max(1, int(share * num_steps)) if share else 0
    return int(number * (2 * most + 1)) - most


def roll(spectrogram: Float[Tensor, "B T F"], steps: Int[Tensor, " B"]) -> Float[Tensor, "B T F"]:
    """Return spectrograms rolled in time: what leaves at one end comes back at the other.

    The whole segment is rolled, what pads it behind the clip's end included.

    Args:
        spectrogram: Segments.
        steps: How far each is moved; above 0 to later steps.

    Source: released loader (the segment after it is cut); CAV-MAE's rolls all 1024 steps.
    """
    num_steps = spectrogram.shape[1]
    places = torch.arange(num_steps, device=steps.device) - steps[:, None]  # (B, T)
    rows = torch.arange(len(steps), device=steps.device)[:, None]
    return spectrogram[rows, places % num_steps]


def _between(bounds: Sequence[float], number: float) -> float:
    low, high = bounds
    return low + (high - low) * number


def _centre(width: int, height: int, ratio: tuple[float, float]) -> Box:
    low, high = ratio
    wide, tall = min(width, round(height * high)), min(height, round(width / low))
    left, top = (width - wide) // 2, (height - tall) // 2
    return Box(left, top, left + wide, top + tall)
