"""How the similarities of frames become one score of two clips, without rounding.

Float sums depend on their order, and a matrix product orders them by the shape of its blocks: equal
clips would tie in one block and not in the next. Here frames lie on a grid of whole numbers so
coarse that every sum of a product fits into the 53 bits of a double. Whatever the order, the
blocks or the device, the sum is the same, and it is rounded once, to float32.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from tgdp.errors import unknown_name

BITS = 53
"""Whole numbers up to 2 to this are exact in float64."""

SLACK = 1.01
"""By how much a unit frame may be longer than 1 before the grid is made coarser."""

Score = Callable[[Tensor, Tensor], Tensor]


def diagonal_mean(
    audio: Float[Tensor, "*batch N S D"], image: Float[Tensor, "*batch M S D"]
) -> Float[Tensor, "*batch N M"]:
    """Return the mean dot product of equal frames, of every sound with every film.

    Source: method section 4; released `retrieval.py`, strategy `diagonal_mean`.
    """
    # A sum over frames of dot products is one dot product of the frames laid end to end.
    return audio.flatten(-2) @ image.flatten(-2).mT / audio.shape[-2]


def diagonal_max(
    audio: Float[Tensor, "*batch N S D"], image: Float[Tensor, "*batch M S D"]
) -> Float[Tensor, "*batch N M"]:
    """Return the largest dot product of equal frames, of every sound with every film.

    Source: released `retrieval.py`, strategy `diagonal_max`.
    """
    best = audio[..., 0, :] @ image[..., 0, :].mT
    for frame in range(1, audio.shape[-2]):
        torch.maximum(best, audio[..., frame, :] @ image[..., frame, :].mT, out=best)
    return best


def mean(
    audio: Float[Tensor, "*batch N S D"], image: Float[Tensor, "*batch M S D"]
) -> Float[Tensor, "*batch N M"]:
    """Return the mean dot product of all pairs of frames, of every sound with every film.

    Source: released `retrieval.py`, strategy `mean`.
    """
    # The mean over all pairs is the dot product of the two mean frames.
    return audio.sum(-2) @ image.sum(-2).mT / audio.shape[-2] ** 2


def max(
    audio: Float[Tensor, "*batch N S D"], image: Float[Tensor, "*batch M S D"]
) -> Float[Tensor, "*batch N M"]:
    """Return the largest dot product of all pairs of frames, of every sound with every film.

    Source: released `retrieval.py`, strategy `max`.
    """
    every = image.flatten(-3, -2).mT
    shape = image.shape[-3:-1]
    best = (audio[..., 0, :] @ every).unflatten(-1, shape).amax(-1)
    # Frame by frame of the sound: all pairs at once would be S times the memory.
    for frame in range(1, audio.shape[-2]):
        scores = (audio[..., frame, :] @ every).unflatten(-1, shape).amax(-1)
        torch.maximum(best, scores, out=best)
    return best


class Aggregation(NamedTuple):
    """A way to score clips.

    Attributes:
        score: The function.
        power: One sum goes over S to this power of frame pairs.
    """

    score: Score
    power: int


AGGREGATIONS = {
    "diagonal_mean": Aggregation(diagonal_mean, 1),
    "diagonal_max": Aggregation(diagonal_max, 0),
    "mean": Aggregation(mean, 2),
    "max": Aggregation(max, 0),
}
"""Every way to score a clip against a clip, by its name."""


def find_aggregation(name: str) -> Aggregation:
    """Return the aggregation of a name.

    Raises:
        UserError: There is none.
    """
    if name not in AGGREGATIONS:
        raise unknown_name("aggregation", name, AGGREGATIONS)
    return AGGREGATIONS[name]


def grid_bits(num_frames: int, power: int) -> int:
    """Return how many binary places a unit frame keeps so that no sum is ever rounded.

    A sum of products of two frames is at most the product of their lengths, part sums included, so
    `num_frames ** power` pairs of unit frames stay below that number.

    Args:
        num_frames: Frames of a clip.
        power: Of the aggregation.

    Example:
        Sixteen frames on the diagonal keep 24 places, which is all that a float16 has.

        >>> grid_bits(16, 1), grid_bits(16, 2), grid_bits(16, 0)
        (24, 22, 26)
    """
    # The square of the slack, and some more for what rounding adds to a length.
    bound = 1.05 * num_frames**power
    return (BITS - math.ceil(math.log2(bound))) // 2


def exponent_of(longest: float) -> int:
    """Return the power of two that frames up to this length are divided by first.

    Args:
        longest: Length of the longest frame; 0 where all are zero.

    Example:
        >>> exponent_of(1.0000001), exponent_of(3.0), exponent_of(0.25), exponent_of(0.0)
        (0, 2, -2, 0)
    """
    return math.ceil(math.log2(longest / SLACK)) if longest else 0
