"""Better and equal answers counted block by block, both directions in one pass.

Beside the features, which may be memory-mapped, a block of sounds, one of films and their scores
are in memory, never a whole matrix.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from tgdp.errors import UserError
from tgdp.evaluation.aggregations import Score, exponent_of, find_aggregation, grid_bits
from tgdp.evaluation.ranking import Counts

Features = NDArray[np.floating[Any]]

BLOCK_BYTES = 192 * 2**20
"""Of a block of features in float64: 2,048 clips of 16 frames, 768 wide."""

SCORES_BYTES = 2**29
"""Of what one frame of each sound of a block scores against all frames of a block of films."""

# The product of two longer frames is not a float32 any more.
LONGEST = math.sqrt(np.finfo(np.float32).max)


class Options(NamedTuple):
    """How clips are scored.

    Attributes:
        aggregation: A name in `AGGREGATIONS`.
        chunk: Clips a block; None: as many as fit into `BLOCK_BYTES`. It changes no result.
        device: Where the products are taken. It changes no result.
    """

    aggregation: str = "diagonal_mean"
    chunk: int | None = None
    device: str = "cpu"


DEFAULTS = Options()


@dataclass(frozen=True)
class Side:
    """The clips of one modality, given out in blocks of whole numbers.

    Attributes:
        features: (N, S, D).
        device: Where the blocks are put.
        places: A frame is multiplied by 2 to this before it is rounded.
    """

    features: Features
    device: str
    places: int

    def block(self, clips: slice) -> Float[Tensor, "n S D"]:
        """Return some clips in float64, every entry a whole number."""
        return read(self.features, clips, self.device).mul_(2.0**self.places).round_()


def count_clips(
    audio: Features, image: Features, ids: Sequence[str], options: Options = DEFAULTS
) -> dict[str, Counts]:
    """Return the counts of both directions, `a2v` and `v2a`, which do not depend on the blocks.

    Args:
        audio: (N, S, D), L2-normalised frames in half or single precision; may be memory-mapped.
        image: (N, S, D), clip by clip the same order.
        ids: Clip ids, for the error messages.
        options: How they are scored.

    Raises:
        UserError: A score is not finite (clip and modality are named), the shapes do not agree, or
            there is no such aggregation.

    Source: ours.
    """
    check_shapes(audio, image, ids)
    audio_side, image_side, score = prepare(audio, image, ids, options)
    truth = torch.cat(
        [
            score(audio_side.block(clips)[:, None], image_side.block(clips)[:, None]).flatten()
            for clips in blocks(audio, options.chunk)
        ]
    )
    # Row by direction; above and equal.
    totals = torch.zeros(2, 2, len(audio), dtype=torch.int64, device=options.device)
    for rows in blocks(audio, options.chunk):
        sounds = audio_side.block(rows)
        for columns in blocks(audio, options.chunk):
            scores = score(sounds, image_side.block(columns))
            totals[0, :, rows] += _compare(scores, truth[rows, None], dim=1)
            totals[1, :, columns] += _compare(scores, truth[columns], dim=0)
    a2v, v2a = totals.cpu().numpy()
    return {"a2v": Counts(*a2v), "v2a": Counts(*v2a)}


def prepare(
    audio: Features, image: Features, ids: Sequence[str], options: Options
) -> tuple[Side, Side, Score]:
    """Return both modalities on their grids, and the function that scores their blocks in float32.

    Args:
        audio: (N, S, D).
        image: (M, S, D).
        ids: Of the clips, for the error messages.
        options: How they are scored.

    Raises:
        UserError: A score is not finite, or there is no such aggregation.
    """
    aggregation = find_aggregation(options.aggregation)
    bits = grid_bits(audio.shape[1], aggregation.power)
    exponents = [
        exponent_of(longest_frame(features, modality, ids, options))
        for modality, features in (("audio", audio), ("image", image))
    ]
    unit = 2.0 ** (sum(exponents) - 2 * bits)

    def score(sounds: Tensor, films: Tensor) -> Tensor:
        return aggregation.score(sounds, films).mul_(unit).float()

    audio_side, image_side = (
        Side(features, options.device, bits - exponent)
        for features, exponent in zip((audio, image), exponents, strict=True)
    )
    return audio_side, image_side, score


def longest_frame(
    features: Features, modality: str, ids: Sequence[str], options: Options = DEFAULTS
) -> float:
    """Return the length of the longest frame.

    Args:
        features: (N, S, D).
        modality: Named in the error.
        ids: Clip ids, named in the error.
        options: Size of a block, and device.

    Raises:
        UserError: A feature is not finite, or so large that a score would not be.
    """
    longest = 0.0
    for clips in blocks(features, options.chunk):
        lengths = torch.linalg.vector_norm(read(features, clips, options.device), dim=-1)
        # Of each clip; NaN stays NaN.
        of_clip = lengths.amax(dim=-1)
        bad = torch.nonzero(~(of_clip <= LONGEST)).flatten().tolist()
        if bad:
            words = "too large" if of_clip[bad[0]].isfinite() else "not finite"
            raise UserError(f"{modality} features of clip {ids[clips.start + bad[0]]} are {words}")
        longest = max(longest, float(of_clip.max()))
    return longest


def blocks(features: Features, chunk: int | None) -> Iterator[slice]:
    """Yield the slices that cut clips into blocks.

    Args:
        features: (N, S, D).
        chunk: Clips a block; None: as many as fit.

    Raises:
        UserError: A block is to have less than one clip.
    """
    if chunk is None:
        _, num_frames, width = features.shape
        frame_bytes = num_frames * torch.float64.itemsize
        most = math.isqrt(SCORES_BYTES // frame_bytes)
        chunk = max(1, min(most, BLOCK_BYTES // (frame_bytes * width)))
    if chunk < 1:
        raise UserError(f"chunk is {chunk}; a block has at least 1 clip")
    for start in range(0, len(features), chunk):
        yield slice(start, min(start + chunk, len(features)))


def read(features: Features, clips: slice, device: str) -> Float[Tensor, "n S D"]:
    """Return some clips in float64, as a copy."""
    # Copied first: torch warns of memory that it may not write to.
    return (
        torch.from_numpy(np.array(features[clips], order="C"))
        .to(device)
        .to(torch.float64, copy=True)
    )


def check_shapes(audio: Features, image: Features, ids: Sequence[str]) -> None:
    """Refuse features that are not those of the same clips.

    Raises:
        UserError: They are not (N, S, D) of one shape, there is no clip, or ids are missing.
    """
    if audio.shape != image.shape or audio.ndim != 3 or 0 in audio.shape:
        raise UserError(
            f"audio features are {audio.shape}, image features {image.shape}; both must have"
            " the same clips, frames and width, each at least 1"
        )
    if len(ids) != len(audio):
        raise UserError(f"there are {len(ids)} ids for {len(audio)} clips")


def _compare(
    scores: Float[Tensor, "n m"], truth: Float[Tensor, "..."], dim: int
) -> Int[Tensor, "2 k"]:
    """Count along one axis what is above the truth, and what equals it."""
    return torch.stack([(scores > truth).sum(dim), (scores == truth).sum(dim)])
