"""Figures class by class, against the same figures counted by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from tgdp.data.labels import LabelVocabulary
from tgdp.errors import UserError
from tgdp.evaluation.per_class import label_matrix, probe_by_class, retrieval_by_class

VOCABULARY = LabelVocabulary(("/m/1", "/m/2", "/m/3"), ("Dog", "Male speech, man", "Harp"))
IDS = ["x", "y", "z", "-1.5"]
LABELS = [["/m/1"], ["/m/1", "/m/3"], [], ["/m/3"]]
HOT = label_matrix(IDS, LABELS, VOCABULARY)


def test_a_clip_stands_in_each_of_its_classes_and_without_a_label_in_none():
    assert HOT.astype(int).tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 0], [0, 0, 1]]
    with pytest.raises(UserError, match=r"clip y: label '/m/9' is not in"):
        label_matrix(["y"], [["/m/9"]], VOCABULARY)


def test_retrieval_is_counted_over_the_queries_of_each_class():
    ranks = {"a2v": np.array([1, 8, 2, 30]), "v2a": np.array([2, 1, 1, 1])}
    dog, harp = retrieval_by_class(ranks, HOT, VOCABULARY)
    assert (dog["mid"], dog["name"], dog["n"]) == ("/m/1", "Dog", 2)
    assert [dog[f"a2v/{name}"] for name in ("r1", "r5", "r10", "median_rank")] == [0.5, 0.5, 1, 4.5]
    assert [dog[f"v2a/{name}"] for name in ("r1", "r5", "r10", "median_rank")] == [0.5, 1, 1, 1.5]
    assert (harp["mid"], harp["n"], harp["a2v/median_rank"], harp["v2a/r1"]) == ("/m/3", 2, 19, 1)
    assert retrieval_by_class(ranks, np.zeros((4, 3), np.bool_), VOCABULARY) == []


def test_average_precision_of_a_class_is_the_mean_over_the_probes():
    scores = [np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32) for seed in (0, 1)]
    rows = probe_by_class(HOT, scores, VOCABULARY, is_singlelabel=False)
    assert [row["mid"] for row in rows] == ["/m/1", "/m/3"]
    for row, c in zip(rows, (0, 2), strict=True):
        each = [average_precision_score(HOT[:, c], one[:, c]) for one in scores]
        assert row["ap"] == pytest.approx(np.mean(each))
        assert set(row) == {"mid", "name", "n", "ap"}


def test_top1_of_a_class_counts_its_own_clips_and_ties_against_us():
    hot = np.eye(3, dtype=np.bool_)[[0, 0, 2]]
    first = np.array([[2, 1, 0], [0, 1, 0], [5, 0, 5]], np.float32)
    second = np.array([[2, 1, 0], [3, 1, 0], [0, 0, 1]], np.float32)
    dog, harp = probe_by_class(hot, [first, second], VOCABULARY, is_singlelabel=True)
    # Of two clips and two probes three are right; of the harp's the first probe has a tie.
    assert (dog["top1"], harp["top1"]) == (0.75, 0.5)
    assert (dog["n"], harp["n"]) == (2, 1)
