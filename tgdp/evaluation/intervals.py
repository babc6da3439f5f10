"""How far a retrieval figure would move with other clips: 95 % intervals of one run and of two.

An interval answers: had other clips of the same kind been asked for, where might the figure lie?
The queries are drawn anew, with replacement; the candidates that each is ranked among stay the
same. It says nothing of training: another seed may differ by more.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tgdp.errors import UserError
from tgdp.evaluation.ranking import RECALLS, measures, recall_metrics

LEVEL = 0.95
NORMAL_QUANTILE = 1.959963984540054
"""Of the standard normal distribution, at (1 + `LEVEL`) / 2."""

RESAMPLES = 2000
DRAWS_AT_ONCE = 2**21
"""Queries drawn in one go: 16 MiB of indices, and a few arrays of that size."""


class Interval(NamedTuple):
    """A figure with its 95 % interval.

    Attributes:
        value: As measured.
        low: Lower end.
        high: Upper end.
        method: `bootstrap` or `wilson`.
    """

    value: float
    low: float
    high: float
    method: str


def wilson(hits: int, queries: int) -> tuple[float, float]:
    """Return the ends of Wilson's 95 % interval of a share.

    Args:
        hits: Queries that are hit.
        queries: All of them, at least 1.

    Example:
        None of 10 may still be more than a quarter.

        >>> [round(end, 4) for end in wilson(0, 10)]
        [0.0, 0.2775]

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    share, square = hits / queries, NORMAL_QUANTILE**2
    middle = share + square / (2 * queries)
    spread = share * (1 - share) / queries + square / (4 * queries**2)
    half = NORMAL_QUANTILE * math.sqrt(spread)
    scale = 1 + square / queries
    # Exactly 0 and 1 there, which rounding would miss.
    low = (middle - half) / scale if hits else 0.0
    high = (middle + half) / scale if hits < queries else 1.0
    return low, high


def intervals(
    rank: NDArray[np.int64], resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Interval]:
    """Return R@1, R@5, R@10, median and mean rank with their 95 % intervals.

    They cover the choice of clips, with the candidates held fixed, not the seed of a training. The
    ends are the 2.5 and 97.5 % quantiles of the bootstrap over queries; where all are hit or none,
    every resample is alike, and a recall has Wilson's interval instead.

    Args:
        rank: (N,), one for each query, from 1: pessimistic or optimistic.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap; the same seed gives the same interval.

    Raises:
        UserError: There is no rank, or no resample.

    Source: ours; Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    values = recall_metrics(rank)
    ends = _quantiles([measures(rank[drawn]) for drawn in _draws(rank.size, resamples, seed)])
    found = {name: Interval(values[name], *ends[name], "bootstrap") for name in values}
    for k in RECALLS:
        hits = int((rank <= k).sum())
        if hits in (0, rank.size):
            found[f"r{k}"] = Interval(values[f"r{k}"], *wilson(hits, rank.size), "wilson")
    return found


def paired_intervals(
    ours: tuple[Sequence[str], NDArray[np.int64]],
    theirs: tuple[Sequence[str], NDArray[np.int64]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return ours minus theirs for every measure, with 95 % intervals, over the same clips.

    They cover the choice of clips, with the candidates held fixed, not the seeds of the trainings.
    A resample draws clips, and both runs are measured on it. Where no clip is hit by one run
    only, the difference of a recall lies within Wilson's upper end for the share of such clips.

    Args:
        ours: Clip ids and the rank of each, from 1; in any order.
        theirs: The same clips.
        resamples: Bootstrap resamples.
        seed: Of the bootstrap.

    Raises:
        UserError: The clips are not the same, or one is there twice; an id is named.

    Source: ours.
    """
    (ids, rank), (their_ids, their_rank) = ours, theirs
    place = _places(their_ids, their_rank)
    _refuse_others(_places(ids, rank), place)
    both = np.stack([rank, their_rank[[place[clip] for clip in ids]]])
    first, second = recall_metrics(both[0]), recall_metrics(both[1])
    parts = [measures(both[:, drawn]) for drawn in _draws(rank.size, resamples, seed)]
    ends = _quantiles([{name: v[0] - v[1] for name, v in part.items()} for part in parts])
    found = {name: Interval(first[name] - second[name], *ends[name], "bootstrap") for name in first}
    for k in RECALLS:
        if ((both[0] <= k) == (both[1] <= k)).all():
            most = wilson(0, rank.size)[1]
            found[f"r{k}"] = Interval(0.0, -most, most, "wilson")
    return found


def _draws(queries: int, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield indices of queries, (resamples, queries) in all, some resamples at a time."""
    if resamples < 1:
        raise UserError(f"resamples is {resamples}; a bootstrap has at least 1")
    generator = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // queries)
    for start in range(0, resamples, at_once):
        yield generator.integers(queries, size=(min(at_once, resamples - start), queries))


def _quantiles(parts: list[dict[str, NDArray[np.float64]]]) -> dict[str, tuple[float, float]]:
    return {name: ends_of(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def ends_of(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the 95 % interval that the values of all resamples make."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _places(ids: Sequence[str], rank: NDArray[np.int64]) -> dict[str, int]:
    """Where each clip is."""
    if len(ids) != rank.size:
        raise UserError(f"there are {len(ids)} ids for {rank.size} ranks")
    places: dict[str, int] = {}
    for number, clip in enumerate(ids):
        if places.setdefault(clip, number) != number:
            raise UserError(f"clip {clip} is there twice; a pair of runs is compared clip by clip")
    return places


def _refuse_others(ours: dict[str, int], theirs: dict[str, int]) -> None:
    for here, there, words in ((ours, theirs, "first"), (theirs, ours, "second")):
        alone = next((clip for clip in here if clip not in there), None)
        if alone is not None:
            raise UserError(f"clip {alone} is only in the {words} run; compare runs on equal clips")
