"""What a probe's scores are worth, on plain arrays."""

import math
from importlib.util import find_spec
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tgdp.errors import UserError

TOP = 5
Scores = NDArray[np.float32] | NDArray[np.float64]


class ClassMetrics(NamedTuple):
    """One number a class, of the classes for which there is one, and their numbers.

    Attributes:
        values: (K,).
        classes: (K,), rising.
        num_classes: Classes in all.
    """

    values: NDArray[np.float64]
    classes: NDArray[np.int64]
    num_classes: int

    @property
    def mean_all(self) -> float:
        """Mean over all classes, those without a value counted as 0."""
        return float(self.values.sum() / self.num_classes)

    @property
    def mean_present(self) -> float:
        """Mean over the classes that have a value; 0 where none has."""
        return float(self.values.mean()) if len(self.values) else 0.0


def require_scikit_learn() -> None:
    """Refuse to start what scikit-learn must finish.

    Raises:
        UserError: It is not installed.
    """
    if find_spec("sklearn") is None:
        raise UserError("probe: scikit-learn counts average precision and is not installed")


def average_precision(hot: NDArray[np.bool_], scores: Scores) -> ClassMetrics:
    """Return the average precision of every class that has a positive clip.

    Args:
        hot: Which clip has which label, (N, C).
        scores: Higher is more likely, (N, C); equal scores are one threshold.

    Example:
        >>> hot = np.array([[1, 0], [0, 0], [1, 0]], dtype=bool)
        >>> found = average_precision(hot, np.array([[3.0, 0], [2, 0], [1, 0]]))
        >>> round(found.mean_present, 4), round(found.mean_all, 4)  # (1/1 + 2/3) / 2; class 1: none
        (0.8333, 0.4167)

    Source: scikit-learn's `average_precision_score`, as in the ancestors' `calculate_stats`.
    """
    from sklearn.metrics import average_precision_score

    _refuse_not_finite(scores)
    classes = np.flatnonzero(hot.any(axis=0))
    values = [float(average_precision_score(hot[:, c], scores[:, c])) for c in classes]
    return ClassMetrics(np.array(values, np.float64), classes, hot.shape[1])


def areas_under_curve(hot: NDArray[np.bool_], scores: Scores) -> ClassMetrics:
    """Return the area under the ROC curve of every class that has positives and negatives.

    Args:
        hot: Which clip has which label, (N, C).
        scores: (N, C); a positive and a negative with equal scores count half.

    Example:
        >>> hot = np.array([[1], [0], [1]], dtype=bool)
        >>> areas_under_curve(hot, np.array([[3.0], [2], [1]])).values.tolist()
        [0.5]

    Source: Mann and Whitney: the share of pairs in the right order.
    """
    _refuse_not_finite(scores)
    classes = np.flatnonzero(is_ranked(hot))
    values = [_area(hot[:, c], scores[:, c]) for c in classes]
    return ClassMetrics(np.array(values, np.float64), classes, hot.shape[1])


def is_ranked(hot: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which classes have both positive and negative clips, (C,).

    Args:
        hot: Which clip has which label, (N, C).
    """
    return np.logical_and(hot.any(axis=0), ~hot.all(axis=0))


def d_prime(area: float, num_pairs: int) -> float:
    """Return how many standard deviations apart two normal distributions with this area are.

    Args:
        area: Area under the ROC curve, 0 to 1.
        num_pairs: Pairs of a positive and a negative it was counted over. A perfect area would
            give infinity; it is taken as short of perfect by half a pair.

    Example:
        >>> round(d_prime(0.9, 1000), 3)  # sqrt(2) * 1.2816
        1.812

    Source: d' = sqrt(2) * z(AUC), as in the ancestors; half a pair is the usual correction.
    """
    short = 0.5 / num_pairs
    return math.sqrt(2) * NormalDist().inv_cdf(min(max(area, short), 1 - short))


def ranks_of_truth(target: NDArray[np.int64], scores: Scores) -> NDArray[np.int64]:
    """Return the rank of the right class of every clip, from 1; ties count against us.

    Args:
        target: Class of each clip, (N,).
        scores: (N, C).

    Example:
        >>> ranks_of_truth(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.7]])).tolist()
        [1, 2]
    """
    _refuse_not_finite(scores)
    truth = np.take_along_axis(scores, target[:, None], axis=1)
    return (scores >= truth).sum(axis=1)


def multilabel_metrics(hot: NDArray[np.bool_], scores: Scores) -> dict[str, float]:
    """Return mAP over all classes and over those present, mean AUC and d'.

    The last two are left out where no class has positives and negatives.

    Args:
        hot: Which clip has which label, (N, C).
        scores: (N, C).
    """
    precision, area = average_precision(hot, scores), areas_under_curve(hot, scores)
    positives = hot.sum(axis=0)[area.classes]
    pairs = int((positives * (len(hot) - positives)).sum())
    found = {
        "map": precision.mean_all,
        "map_present": precision.mean_present,
    }
    if pairs:
        found |= {"mauc": area.mean_present, "d_prime": d_prime(area.mean_present, pairs)}
    return found


def singlelabel_metrics(target: NDArray[np.int64], scores: Scores) -> dict[str, float]:
    """Return Top-1, Top-5 and the mean over the classes present of their Top-1, as fractions.

    Args:
        target: Class of each clip, (N,).
        scores: (N, C).

    Example:
        >>> scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
        >>> found = singlelabel_metrics(np.array([0, 0, 1]), scores)
        >>> round(found["top1"], 4), found["class_top1"]  # 2 of 3; (2/2 + 0/1) / 2
        (0.6667, 0.5)
    """
    rank = ranks_of_truth(target, scores)
    present = np.unique(target)
    by_class = [float((rank[target == c] == 1).mean()) for c in present]
    return {
        "top1": float((rank == 1).mean()),
        "top5": float((rank <= TOP).mean()),
        "class_top1": float(np.mean(by_class)),
    }


def _area(hot: NDArray[np.bool_], scores: Scores) -> float:
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count - 1) / 2  # mean rank, from 1, of equal scores
    num = int(hot.sum())
    above = float(middle[place][hot].sum()) - num * (num + 1) / 2
    return above / (num * (len(hot) - num))


def _refuse_not_finite(scores: Scores) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if bad.size:
        raise ValueError(f"scores of clip number {bad[0]} are not finite")
