"""Metrics of probes: by hand, against scikit-learn and counting pairs, empty classes."""

import doctest
import math
from statistics import NormalDist

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from tgdp.errors import UserError
from tgdp.evaluation.probe import heads, intervals, metrics
from tgdp.evaluation.probe.intervals import fast_average_precision, map_intervals, mean_interval
from tgdp.evaluation.probe.metrics import (
    areas_under_curve,
    average_precision,
    d_prime,
    multilabel_metrics,
    ranks_of_truth,
    singlelabel_metrics,
)

RNG = np.random.default_rng(0)
HOT = RNG.random((60, 5)) < (0.5, 0.2, 0.05, 0.0, 1.1)
"""Class 3 has no positive clip, class 4 no negative one."""
SCORES = RNG.integers(0, 8, size=(60, 5)).astype(np.float32)
"""Few values: many clips share a score."""


@pytest.mark.parametrize("module", [metrics, intervals, heads])
def test_worked_examples_hold(module):
    assert doctest.testmod(module, extraglobs={"np": np}).failed == 0


def test_classes_without_positives_count_nothing_or_are_left_out():
    found = average_precision(HOT, SCORES)
    expected = [average_precision_score(HOT[:, c], SCORES[:, c]) for c in (0, 1, 2, 4)]
    assert found.classes.tolist() == [0, 1, 2, 4]
    assert found.mean_present == pytest.approx(sum(expected) / 4)
    assert found.mean_all == pytest.approx(sum(expected) / 5)


def test_area_is_the_share_of_pairs_in_the_right_order():
    found = areas_under_curve(HOT, SCORES)
    for value, c in zip(found.values, found.classes, strict=True):
        positive, negative = SCORES[HOT[:, c], c], SCORES[~HOT[:, c], c]
        pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
        assert value == pytest.approx(np.mean(pairs))
        assert value == pytest.approx(roc_auc_score(HOT[:, c], SCORES[:, c]))
    assert found.classes.tolist() == [0, 1, 2]


def test_d_prime_is_that_of_two_normal_distributions_and_never_infinite():
    area = NormalDist().cdf(1.5 / math.sqrt(2))  # means 1.5 standard deviations apart
    assert d_prime(area, 10**9) == pytest.approx(1.5)
    assert d_prime(0.5, 10) == pytest.approx(0)
    assert d_prime(1.0, 10) == d_prime(0.95, 10**9)
    assert d_prime(0.0, 10) == d_prime(0.05, 10**9)


@pytest.mark.parametrize("value", [False, True])
def test_labels_that_all_clips_have_or_none_give_no_nan(value):
    found = multilabel_metrics(np.full((4, 2), value), np.zeros((4, 2), np.float32))
    assert found == {"map": float(value), "map_present": float(value)}


def test_metrics_of_one_label_by_hand():
    scores = np.array([[3, 2, 1, 0, 0, 0], [0, 5, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], np.float32)
    target = np.array([0, 0, 1])
    # Ranks: 1; all five others tie with it or beat it: 6; all tie: 6.
    assert ranks_of_truth(target, scores).tolist() == [1, 6, 6]
    found = singlelabel_metrics(target, scores)
    assert found == {"top1": pytest.approx(1 / 3), "top5": pytest.approx(1 / 3), "class_top1": 0.25}


def test_scores_that_are_not_finite_are_refused():
    scores = SCORES.copy()
    scores[7, 1] = np.nan
    for metric in (average_precision, areas_under_curve):
        with pytest.raises(ValueError, match="number 7"):
            metric(HOT, scores)


def test_a_missing_scikit_learn_is_said_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="scikit-learn"):
        metrics.require_scikit_learn()


def test_the_fast_average_precision_is_that_of_scikit_learn_on_repeated_clips():
    weights = RNG.multinomial(60, np.full(60, 1 / 60), size=20).T.astype(np.uint16)
    for c in range(5):
        found = fast_average_precision(HOT[:, c], SCORES[:, c], weights)
        for value, weight in zip(found, weights.T, strict=True):
            hot, scores = (np.repeat(x, weight) for x in (HOT[:, c], SCORES[:, c]))
            if hot.any():
                assert value == pytest.approx(average_precision_score(hot, scores))
            else:
                assert np.isnan(value)


def test_intervals_hold_the_value_and_shrink_with_more_clips():
    few, many = (mean_interval(np.tile([0.0, 1.0], n), 200) for n in (20, 500))
    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(1000), rel=0.2)
    assert mean_interval(np.ones(10), 200) == (pytest.approx(1 - 0.2775, abs=1e-4), 1.0)
    assert mean_interval(np.zeros(10), 200) == (0.0, pytest.approx(0.2775, abs=1e-4))
    found, value = map_intervals(HOT, [SCORES], 50), multilabel_metrics(HOT, SCORES)
    assert all(found[name][0] < value[name] < found[name][1] for name in found)
    assert found["map"][1] == pytest.approx(found["map_present"][1] * 4 / 5)
    assert map_intervals(np.zeros((4, 2), bool), [np.zeros((4, 2), np.float32)], 5) == {}
