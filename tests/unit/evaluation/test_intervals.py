"""Intervals: closed forms, coverage of known shares, and pairs of runs clip by clip."""

import doctest
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgdp.errors import UserError
from tgdp.evaluation import intervals as module
from tgdp.evaluation.intervals import (
    LEVEL,
    NORMAL_QUANTILE,
    intervals,
    paired_intervals,
    wilson,
)
from tgdp.evaluation.ranking import recall_metrics

ranks_of_some = st.lists(st.integers(1, 30), min_size=1, max_size=40).map(np.array)


def named(rank):
    return [f"clip{number}" for number in range(len(rank))], rank


def test_the_worked_examples_hold():
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_the_normal_quantile_is_that_of_the_level():
    assert pytest.approx(NormalDist().inv_cdf((1 + LEVEL) / 2)) == NORMAL_QUANTILE


@given(st.integers(1, 500), st.data())
def test_wilson_ends_solve_its_equation(queries, data):
    hits = data.draw(st.integers(0, queries))
    share = hits / queries
    for end in wilson(hits, queries):
        # |share - p| is the quantile times the spread that p itself would have.
        assert (share - end) ** 2 == pytest.approx(
            NORMAL_QUANTILE**2 * end * (1 - end) / queries, abs=1e-12
        )


@settings(deadline=None)
@given(ranks_of_some)
def test_an_interval_holds_the_figure_of_every_measure(rank):
    values = recall_metrics(rank)
    for name, interval in intervals(rank, resamples=200).items():
        assert interval.value == values[name]
        assert interval.low <= interval.high
        if name != "median_rank":
            assert interval.low <= interval.value <= interval.high


def test_the_bootstrap_of_a_share_is_that_of_the_binomial():
    rank = np.array([1] * 300 + [50] * 700)
    found = intervals(rank)["r1"]
    half = NORMAL_QUANTILE * np.sqrt(0.3 * 0.7 / 1000)
    assert found.method == "bootstrap"
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.003)


def test_a_recall_that_all_or_none_reach_has_wilsons_interval():
    found = intervals(np.array([6, 7, 8]), resamples=10)
    assert found["r1"] == (0.0, *wilson(0, 3), "wilson")
    assert found["r10"] == (1.0, *wilson(3, 3), "wilson")
    assert found["median_rank"].method == "bootstrap"


def test_the_same_seed_gives_the_same_interval_and_blocks_of_draws_do_not_matter(monkeypatch):
    rank = np.arange(1, 41)
    first = intervals(rank, resamples=50, seed=3)
    assert intervals(rank, resamples=50, seed=3) == first
    assert intervals(rank, resamples=50, seed=4) != first
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 100)
    assert intervals(rank, resamples=50, seed=3) == first


def test_most_intervals_hold_the_true_share():
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        found = intervals(np.where(rng.random(200) < 0.4, 1, 99), resamples=300, seed=seed)["r1"]
        held += found.low <= 0.4 <= found.high
    # 190 expected of 200, standard deviation 3; percentiles of few resamples are a little narrow.
    assert held >= 178


@settings(deadline=None)
@given(ranks_of_some, st.randoms())
def test_a_run_does_not_differ_from_itself_in_any_order(rank, random):
    order = list(range(len(rank)))
    random.shuffle(order)
    ids, _ = named(rank)
    other = [ids[number] for number in order], rank[order]
    for name, found in paired_intervals((ids, rank), other, resamples=20).items():
        assert found.value == 0
        if name.startswith("r"):
            # No clip speaks for either, yet as many as this might.
            assert found.high == -found.low == wilson(0, len(rank))[1]
        else:
            assert found.low == found.high == 0


def test_a_pair_is_told_apart_where_two_runs_alone_would_not_be():
    rng = np.random.default_rng(1)
    theirs = rng.integers(1, 4, size=400)
    ours = np.where(rng.random(400) < 0.05, 1, theirs)
    paired = paired_intervals(named(ours), named(theirs))
    assert paired["r1"].low > 0
    alone = [intervals(rank)["r1"] for rank in (ours, theirs)]
    assert alone[0].low < alone[1].high
    assert paired["r1"].value == pytest.approx(alone[0].value - alone[1].value)
    assert paired["mean_rank"].high < 0


@settings(deadline=None)
@given(ranks_of_some, st.integers(0, 100))
def test_swapping_the_runs_turns_the_interval_round(rank, seed):
    other = np.random.default_rng(seed).permutation(rank)
    there = paired_intervals(named(rank), named(other), resamples=40)
    back = paired_intervals(named(other), named(rank), resamples=40)
    for name in there:
        assert there[name].value == pytest.approx(-back[name].value)
        assert there[name].low == pytest.approx(-back[name].high)


def test_runs_on_other_clips_are_refused_by_id():
    rank = np.array([1, 2])
    with pytest.raises(UserError, match="clip b is only in the first run"):
        paired_intervals((["a", "b"], rank), (["a", "c"], rank))
    with pytest.raises(UserError, match=r"clip -x\.7 is only in the second run"):
        paired_intervals((["a"], rank[:1]), (["a", "-x.7"], rank))
    with pytest.raises(UserError, match="clip a is there twice"):
        paired_intervals((["a", "a"], rank), (["a", "b"], rank))
    with pytest.raises(UserError, match="1 ids for 2 ranks"):
        paired_intervals((["a"], rank), (["a", "b"], rank))
    with pytest.raises(UserError, match="resamples is 0"):
        intervals(rank, resamples=0)
    with pytest.raises(UserError, match="no rank"):
        intervals(rank[:0])
