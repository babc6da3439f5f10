"""Ranks by a convention for ties, and what is said of them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tgdp.errors import UserError, unknown_name

RECALLS = (1, 5, 10)

TIES = ("pessimistic", "optimistic", "upstream")
"""What equal scores do to a rank: count against us, count for us, or enter several times."""


class Counts(NamedTuple):
    """Where the true answers of some queries stand.

    Attributes:
        above: (N,) int64: answers whose score is greater than that of the query's own.
        equal: (N,) int64: answers whose score equals it, its own among them; so at least 1.
    """

    above: NDArray[np.int64]
    equal: NDArray[np.int64]


def count(similarity: NDArray[np.floating[Any]]) -> Counts:
    """Return how many answers of each query are better than its own, and how many equal.

    A query whose own score is not finite has no equal answer, not even its own.

    Args:
        similarity: (N, N), row: query, column: answer, truth on the diagonal.

    Example:
        >>> counts = count(np.array([[0.9, 0.1], [0.7, 0.7]]))
        >>> counts.above.tolist(), counts.equal.tolist()
        ([0, 0], [1, 2])
    """
    truth = similarity.diagonal()[:, None]
    equal = (similarity == truth) & np.isfinite(truth)
    return Counts((similarity > truth).sum(axis=1), equal.sum(axis=1))


def ranks_from(counts: Counts, ties: str = "pessimistic") -> NDArray[np.int64]:
    """Return the rank of each query's own answer, from 1.

    Args:
        counts: Of the queries.
        ties: `pessimistic`: behind all equal answers. `optimistic`: before them. `upstream`: at
            every place that equal answers take, each place a rank of its own; so there are more
            ranks than queries, and shares are of their number.

    Raises:
        UserError: There is no such convention.

    Example:
        The own answer of the second query shares the places 1 and 2 with another one.

        >>> counts = Counts(np.array([4, 0]), np.array([1, 2]))
        >>> [ranks_from(counts, ties).tolist() for ties in TIES]
        [[5, 2], [5, 1], [5, 1, 2]]

    Source: ours; `upstream`: released `retrieval.py`, `compute_metrics`.
    """
    if ties == "pessimistic":
        return counts.above + counts.equal
    if ties == "optimistic":
        return counts.above + 1
    if ties != "upstream":
        raise unknown_name("convention for ties", ties, TIES)
    places = np.arange(counts.equal.sum())
    firsts = np.cumsum(counts.equal) - counts.equal
    return np.repeat(counts.above + 1 - firsts, counts.equal) + places


def ranks(similarity: NDArray[np.floating[Any]], ties: str = "pessimistic") -> NDArray[np.int64]:
    """Return the rank of each query's own answer, from 1.

    Args:
        similarity: (N, N), row: query, column: answer, truth on the diagonal.
        ties: As for `ranks_from`.

    Raises:
        UserError: A similarity is not finite; the query is named by its number. Not for `upstream`,
            where queries whose own score is not finite drop out.

    Example:
        >>> ranks(np.array([[0.9, 0.1], [0.7, 0.7]])).tolist()
        [1, 2]
    """
    bad = np.flatnonzero(~np.isfinite(similarity).all(axis=1))
    if bad.size and ties != "upstream":
        raise UserError(f"similarity of query {bad[0]} is not finite")
    return ranks_from(count(similarity), ties)


def measures(rank: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Return R@1, R@5, R@10 as fractions, the median and the mean rank, over the last axis.

    Args:
        rank: (..., N), ranks from 1.
    """
    recalls = {f"r{k}": np.asarray((rank <= k).mean(axis=-1)) for k in RECALLS}
    middle = np.asarray(np.median(rank, axis=-1))
    return {**recalls, "median_rank": middle, "mean_rank": np.asarray(rank.mean(axis=-1))}


def recall_metrics(rank: NDArray[np.int64]) -> dict[str, float]:
    """Return R@1, R@5, R@10 as fractions, the median and the mean rank.

    Args:
        rank: (N,), rank of each query's own answer, from 1.

    Raises:
        UserError: There is no rank.

    Example:
        >>> recall_metrics(np.array([1, 2, 7, 100]))
        {'r1': 0.25, 'r5': 0.5, 'r10': 0.75, 'median_rank': 4.5, 'mean_rank': 27.5}
    """
    if not rank.size:
        raise UserError("there is no rank to measure: no query has a finite score of its own")
    return {name: float(value) for name, value in measures(rank).items()}


def chance(n: int) -> dict[str, float]:
    """Return what is to be expected of guessing: R@k = k / n, median and mean rank (n + 1) / 2.

    Args:
        n: Clips that are retrieved among.

    Example:
        >>> chance(20)
        {'r1': 0.05, 'r5': 0.25, 'r10': 0.5, 'median_rank': 10.5, 'mean_rank': 10.5}
    """
    middle = (n + 1) / 2
    recalls = {f"r{k}": min(k, n) / n for k in RECALLS}
    return {**recalls, "median_rank": middle, "mean_rank": middle}
