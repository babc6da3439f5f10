"""Zero-shot retrieval: similarities, exact ranks, recall (method section 4), on plain arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tgdp.evaluation.aggregations import AGGREGATIONS
from tgdp.evaluation.counting import DEFAULTS, Features, Options, count_clips, prepare
from tgdp.evaluation.intervals import Interval, intervals
from tgdp.evaluation.ranking import RECALLS, ranks_from, recall_metrics

__all__ = [
    "AGGREGATIONS",
    "PROTOCOL",
    "RECALLS",
    "diagonal_mean",
    "rank_clips",
    "retrieve",
    "similarity",
]

PROTOCOL = "retrieval/v1"
"""Frame-wise cosines averaged over equal frame numbers, ties counted against us, full view."""

RECORDED = (*(f"r{k}" for k in RECALLS), "median_rank")
"""What a run records of each direction (docs/design/0001)."""


def similarity(
    audio: Features, image: Features, aggregation: str = "diagonal_mean"
) -> NDArray[np.float32]:
    """Return the score of every sound against every film, rounded once.

    Args:
        audio: (N, S, D), L2-normalised.
        image: (M, S, D), L2-normalised.
        aggregation: `diagonal_mean`, `diagonal_max`: over the S pairs of equal frames; `mean`,
            `max`: over all S x S pairs.

    Returns:
        (N, M), row: sound, column: film.

    Raises:
        UserError: A feature is not finite, or there is no such aggregation.

    Example:
        One sound and one film of two frames; the sound's first frame is the film's second.

        >>> sound, film = np.eye(2)[None], np.eye(2)[None, ::-1]
        >>> {name: similarity(sound, film, name).item() for name in AGGREGATIONS}
        {'diagonal_mean': 0.0, 'diagonal_max': 0.0, 'mean': 0.5, 'max': 1.0}

    Source: released `retrieval.py`, strategies.
    """
    ids = [str(number) for number in range(max(len(audio), len(image)))]
    sounds, films, score = prepare(audio, image, ids, Options(aggregation))
    return score(sounds.block(slice(None)), films.block(slice(None))).numpy()


def diagonal_mean(audio: Features, image: Features) -> NDArray[np.float32]:
    """Return the similarity of every sound to every film: the mean cosine of equal frames.

    Args:
        audio: (N, S, D), L2-normalised.
        image: (M, S, D), L2-normalised.

    Returns:
        (N, M), row: sound, column: film.

    Source: method section 4; released `retrieval.py`, strategy `diagonal_mean`.
    """
    return similarity(audio, image)


def rank_clips(
    audio: Features,
    image: Features,
    ids: Sequence[str],
    options: Options = DEFAULTS,
    ties: str = "pessimistic",
) -> dict[str, NDArray[np.int64]]:
    """Return the ranks of both directions, `a2v` and `v2a`, in the order of the clips.

    Args:
        audio: (N, S, D), L2-normalised frames in half or single precision; may be memory-mapped.
        image: (N, S, D), clip by clip the same order.
        ids: Clip ids, for the error message.
        options: Aggregation, clips a block, device; the last two change no rank.
        ties: `pessimistic`, `optimistic` or `upstream`, as for `ranks_from`.

    Raises:
        UserError: A score is not finite (clip and modality are named), the shapes do not agree, or
            there is no such aggregation or convention.
    """
    counts = count_clips(audio, image, ids, options)
    return {direction: ranks_from(part, ties) for direction, part in counts.items()}


def measured(ranks: Mapping[str, NDArray[np.int64]]) -> dict[str, Interval]:
    """Return what is recorded of ranks, `a2v/r1` and so on, with 95 % intervals over the queries.

    Args:
        ranks: Of both directions, as `rank_clips` gives them.
    """
    return {
        f"{direction}/{name}": interval
        for direction, rank in ranks.items()
        for name, interval in intervals(rank).items()
        if name in RECORDED
    }


def retrieve(audio: Features, image: Features, ids: Sequence[str]) -> dict[str, float]:
    """Return what a run records: `a2v/r1` and so on, both directions, by `PROTOCOL`.

    Args:
        audio: (N, S, D), L2-normalised.
        image: (N, S, D), L2-normalised, clip by clip the same order.
        ids: Clip ids, for the error message.

    Raises:
        UserError: A score is not finite (clip and modality are named), or the shapes do not agree.
    """
    return {
        f"{direction}/{name}": value
        for direction, rank in rank_clips(audio, image, ids).items()
        for name, value in recall_metrics(rank).items()
        if name in RECORDED
    }
