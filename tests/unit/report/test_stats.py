"""Closed-form values."""

import pytest

from tgdp.report import stats


def test_the_standard_deviation_is_that_of_a_sample():
    assert stats.sample_sd([2.0, 4.0]) == pytest.approx(2**0.5)
    assert stats.sample_sd([2.0]) is None
    assert stats.mean([]) is None


def test_chance_is_k_of_n_and_never_above_one():
    assert stats.chance("retrieval/x/a2v/r5", 300) == pytest.approx(5 / 300)
    assert stats.chance("retrieval/x/a2v/r10", 4) == 1.0
    assert stats.chance("retrieval/x/a2v/median_rank", 300) is None
    assert stats.chance("retrieval/x/a2v/r1", 0) is None
