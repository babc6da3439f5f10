"""How a batch is divided: every pair once, parts before ranks, means that add up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgdp.errors import UserError
from tgdp.training.shares import own_items, own_stretches, stretches, whole


@given(st.integers(0, 200), st.integers(1, 20))
def test_stretches_cover_everything_once_and_differ_by_one_at_most(num, parts):
    found = stretches(num, parts)
    assert [index for part in found for index in range(num)[part]] == list(range(num))
    sizes = [part.stop - part.start for part in found]
    assert len(sizes) == parts
    assert max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 40))
def test_a_part_holds_the_same_pairs_whatever_the_number_of_ranks(accumulation, world, more):
    pairs = accumulation * world + more
    alone = own_stretches(pairs, accumulation, 0, 1)
    of_ranks = [own_stretches(pairs, accumulation, rank, world) for rank in range(world)]
    for number, part in enumerate(alone):
        joined = [index for own in of_ranks for index in range(pairs)[own[number]]]
        assert joined == list(range(pairs))[part]


def test_ten_pairs_on_three_ranks_in_two_parts():
    items = list("abcdefghij")
    assert [own_items(items, own_stretches(10, 2, rank, 3)) for rank in range(3)] == [
        ["a", "b", "f", "g"],
        ["c", "d", "h", "i"],
        ["e", "j"],
    ]


def test_weights_make_the_mean_over_all_pairs_of_means_over_parts_and_ranks():
    losses = [float(index**2) for index in range(10)]
    world, total = 3, 0.0
    for rank in range(world):
        own = own_stretches(10, 2, rank, world)
        sizes = [part.stop - part.start for part in own]
        means = [sum(losses[part]) / size for part, size in zip(own, sizes, strict=True)]
        weights = [size * world / 10 for size in sizes]
        total += sum(w * m for w, m in zip(weights, means, strict=True)) / world
    assert total == pytest.approx(sum(losses) / 10)
    assert whole(10, 1).weights() == (1.0,)
    assert whole(10, 4).sizes == (3, 3, 2, 2)


def test_a_rank_without_a_pair_is_refused_in_words():
    with pytest.raises(UserError, match=r"training\.batch_size: 8 pairs in 3 part.* 3 ranks"):
        own_stretches(8, 3, 0, 3)
