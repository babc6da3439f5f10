"""The same figures class by class: which sounds and films are found, which classes are told apart.

A clip with several labels counts in each of its classes. A class without a clip has no row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tgdp.data.labels import LabelVocabulary
from tgdp.evaluation.probe.metrics import average_precision, ranks_of_truth
from tgdp.evaluation.ranking import recall_metrics
from tgdp.evaluation.retrieval import RECORDED

Row = dict[str, Any]
"""`mid`, `name`, `n` (clips of the class), and its figures."""


def label_matrix(
    ids: Sequence[str], labels: Sequence[Sequence[str]], vocabulary: LabelVocabulary
) -> NDArray[np.bool_]:
    """Return which clip has which label, (N, C).

    Args:
        ids: Clip ids, for the error message.
        labels: Label mids of each clip.
        vocabulary: Every label, in the order of the classes.

    Raises:
        UserError: A label is not in the vocabulary.
    """
    number = {mid: i for i, mid in enumerate(vocabulary.mids)}
    hot = np.zeros((len(ids), len(number)), np.bool_)
    for row, (clip, mids) in enumerate(zip(ids, labels, strict=True)):
        for mid in mids:
            if mid not in number:
                raise vocabulary.refusal(mid, f"clip {clip}")
            hot[row, number[mid]] = True
    return hot


def retrieval_by_class(
    ranks: Mapping[str, NDArray[np.int64]], hot: NDArray[np.bool_], vocabulary: LabelVocabulary
) -> list[Row]:
    """Return recalls and median rank of the queries of each class, among all clips.

    Args:
        ranks: Of both directions, (N,) each, in the order of the clips.
        hot: Which clip has which label, (N, C).
        vocabulary: The labels, in the order of the classes.

    Example:
        >>> ranks = {"a2v": np.array([1, 7, 2]), "v2a": np.array([1, 1, 1])}
        >>> hot = np.array([[True, False], [True, False], [False, False]])
        >>> (row,) = retrieval_by_class(ranks, hot, LabelVocabulary(("/m/1", "/m/2"), ("Dog", "")))
        >>> row["name"], row["n"], row["a2v/r1"], row["a2v/median_rank"], row["v2a/r1"]
        ('Dog', 2, 0.5, 4.0, 1.0)
    """
    rows = _rows(hot, vocabulary)
    for c, row in rows.items():
        for direction, rank in ranks.items():
            found = recall_metrics(rank[hot[:, c]])
            row |= {f"{direction}/{name}": found[name] for name in RECORDED}
    return list(rows.values())


def probe_by_class(
    hot: NDArray[np.bool_],
    scores: Sequence[NDArray[np.float32]],
    vocabulary: LabelVocabulary,
    *,
    is_singlelabel: bool,
) -> list[Row]:
    """Return the average precision of each class and, with one label a clip, its Top-1.

    Args:
        hot: Which clip has which label, (N, C).
        scores: (N, C) of every probe; the figures are means over them.
        vocabulary: The labels, in the order of the classes.
        is_singlelabel: Whether every clip has exactly one label.
    """
    rows = _rows(hot, vocabulary)
    precision = np.mean([average_precision(hot, one).values for one in scores], axis=0)
    for row, value in zip(rows.values(), precision, strict=True):
        row["ap"] = float(value)
    if is_singlelabel:
        target = hot.argmax(axis=1)
        right = np.mean([ranks_of_truth(target, one) == 1 for one in scores], axis=0)
        for c, row in rows.items():
            row["top1"] = float(right[target == c].mean())
    return list(rows.values())


def _rows(hot: NDArray[np.bool_], vocabulary: LabelVocabulary) -> dict[int, Row]:
    """Return a row without figures for each class that has clips, by the number of the class."""
    return {
        int(c): {
            "mid": vocabulary.mids[c],
            "name": vocabulary.names[c],
            "n": int(hot[:, c].sum()),
        }
        for c in np.flatnonzero(hot.any(axis=0))
    }
