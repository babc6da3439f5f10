"""How far a probe's numbers depend on which clips were tested: bootstrap over the test clips."""

import numpy as np
from numpy.typing import NDArray

from tgdp.evaluation.intervals import ends_of, wilson

SEED = 0
Interval = tuple[float, float]


def mean_interval(right: NDArray[np.float64], resamples: int) -> Interval:
    """Return the 95 % interval of Top-1; Wilson's where every clip is right or none is.

    Args:
        right: Share of the probes that are right about each clip, (N,).
        resamples: Bootstrap samples.
    """
    num = len(right)
    if right.min() == right.max() and right[0] in (0, 1):
        return wilson(int(right.sum()), num)  # every resample would be alike
    rng = np.random.default_rng(SEED)
    return ends_of(np.array([right[rng.integers(num, size=num)].mean() for _ in range(resamples)]))


def map_intervals(
    hot: NDArray[np.bool_], scores: list[NDArray[np.float32]], resamples: int
) -> dict[str, Interval]:
    """Return the 95 % intervals of mAP, over all classes and over those present.

    A class that a resample happens to miss is left out of its mean, as a value for it would be
    made up; classes without a positive clip count 0 in all of them, as in the metric.

    Args:
        hot: Which clip has which label, (N, C).
        scores: (N, C) of every probe; the interval is that of their mean.
        resamples: Bootstrap samples.
    """
    num, num_classes = hot.shape
    rng = np.random.default_rng(SEED)
    weights = rng.multinomial(num, np.full(num, 1 / num), size=resamples).T.astype(np.uint16)
    classes = np.flatnonzero(hot.any(axis=0))
    total, counted = np.zeros(resamples), np.zeros(resamples)
    for c in classes:
        values = np.mean([fast_average_precision(hot[:, c], s[:, c], weights) for s in scores], 0)
        total += np.nan_to_num(values)
        counted += np.isfinite(values)
    present = total[counted > 0] / counted[counted > 0]
    if not present.size:
        return {}
    return {
        "map": ends_of(present * len(classes) / num_classes),
        "map_present": ends_of(present),
    }


def fast_average_precision(
    hot: NDArray[np.bool_], scores: NDArray[np.float32], weights: NDArray[np.uint16]
) -> NDArray[np.float64]:
    """Return the average precision of one class under each of many weightings of the clips.

    It is scikit-learn's, sorted once for all of them and summed only where a positive clip comes
    in; a test holds the two equal.

    Args:
        hot: Which clip has the label, (N,).
        scores: (N,); equal scores are one threshold.
        weights: How often each clip counts, (N, R).

    Returns:
        (R,), nan where no positive clip counts.

    Example:
        >>> hot, scores = np.array([True, False, True]), np.array([3, 2, 1], np.float32)
        >>> fast_average_precision(hot, scores, np.ones((3, 1), np.uint16)).round(4).tolist()
        [0.8333]
    """
    order = np.argsort(-scores, kind="stable")
    hot, weights = hot[order], weights[order]
    if not hot.any():
        return np.full(weights.shape[1], np.nan)
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    # Thresholds that let a positive clip in; between two of them nothing is found.
    groups, first = np.unique(np.searchsorted(ends, np.flatnonzero(hot)), return_index=True)
    last = ends[groups]
    found = np.add.reduceat(weights[hot], first, dtype=np.int64)
    starts = np.append(0, last[:-1] + 1)
    taken = np.add.reduceat(weights[: last[-1] + 1], starts, dtype=np.int64).cumsum(axis=0)
    positives = found.sum(axis=0)
    precision = found.cumsum(axis=0) / np.maximum(taken, 1)
    area = (found * precision).sum(axis=0)
    return np.divide(area, positives, out=np.full(len(area), np.nan), where=positives > 0)
