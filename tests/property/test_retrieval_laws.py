"""Laws of ranks: against counting one by one, and free of blocks and of the gallery's order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tgdp.evaluation.aggregations import AGGREGATIONS
from tgdp.evaluation.counting import Options
from tgdp.evaluation.ranking import TIES, ranks, recall_metrics
from tgdp.evaluation.retrieval import rank_clips, similarity

DIRECTIONS = ("a2v", "v2a")
# Another process may slow an example down.
unhurried = settings(deadline=None)
aggregations = st.sampled_from(sorted(AGGREGATIONS))
matrices = st.integers(1, 12).flatmap(
    lambda n: arrays(np.float32, (n, n), elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
)


@st.composite
def small_clips(draw):
    """Draw features of few values, so that many scores are equal."""
    shape = (2, draw(st.integers(1, 7)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    kind = draw(st.sampled_from([np.float16, np.float32]))
    values = st.sampled_from([-1.0, -0.25, 0.0, 0.25, 0.5, 1.0])
    return draw(arrays(kind, shape, elements=values))


@st.composite
def lengthy_clips(draw):
    """Draw unit frames of full precision, some clips there several times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_frames, width = draw(st.integers(1, 5)), draw(st.integers(1, 70))
    different = rng.normal(size=(2, draw(st.integers(1, 6)), num_frames, width))
    different /= np.linalg.norm(different, axis=-1, keepdims=True)
    order = draw(st.lists(st.integers(0, different.shape[1] - 1), min_size=1, max_size=9))
    return different[:, order].astype(draw(st.sampled_from([np.float16, np.float32])))


def by_hand(sound, film, aggregation):
    """Score two clips in pure Python."""
    dots = [[sum(x * y for x, y in zip(a, v, strict=True)) for v in film] for a in sound]
    if aggregation.startswith("diagonal"):
        pairs = [dots[s][s] for s in range(len(dots))]
    else:
        pairs = [dot for row in dots for dot in row]
    return max(pairs) if aggregation.endswith("max") else sum(pairs) / len(pairs)


def rank_by_hand(scores, query, ties):
    """Return the ranks that one query has by counting one by one."""
    above = sum(score > scores[query] for score in scores)
    equal = sum(score == scores[query] for score in scores)
    places = list(range(above + 1, above + equal + 1))
    return {"pessimistic": places[-1:], "optimistic": places[:1], "upstream": places}[ties]


def released_metrics(matrix):
    """Count as the released script does: sort, subtract, look for zeros."""
    best_first = -np.sort(-matrix, axis=1)
    place = np.nonzero(best_first - matrix.diagonal()[:, None] == 0)[1]
    shares = {f"r{k}": (place < k).sum() / len(place) for k in (1, 5, 10)}
    return {**shares, "median_rank": np.median(place) + 1}


def names(features):
    return [f"clip{number}" for number in range(features.shape[1])]


@unhurried
@given(small_clips(), aggregations, st.sampled_from(TIES), st.data())
def test_ranks_equal_pure_python_for_every_aggregation_convention_and_chunk(
    features, aggregation, ties, data
):
    audio, image = features.tolist()
    scores = [[by_hand(a, v, aggregation) for v in image] for a in audio]
    # Sums of few binary places are exact; only a mean of three is rounded, to single precision.
    scores = np.array(scores).astype(np.float32)
    chunk = data.draw(st.integers(1, features.shape[1]))
    found = rank_clips(*features, names(features), Options(aggregation, chunk), ties)
    for direction, matrix in zip(DIRECTIONS, (scores, scores.T), strict=True):
        rows = matrix.tolist()
        expected = [
            rank for query, row in enumerate(rows) for rank in rank_by_hand(row, query, ties)
        ]
        assert found[direction].tolist() == expected


@settings(unhurried, max_examples=40)
@given(lengthy_clips(), aggregations, st.sampled_from(TIES))
def test_ranks_do_not_depend_on_the_blocks(features, aggregation, ties):
    found = [
        rank_clips(*features, names(features), Options(aggregation, chunk), ties)
        for chunk in (None, *range(1, features.shape[1] + 1))
    ]
    matrix = similarity(*features, aggregation)
    found.append({"a2v": ranks(matrix, ties), "v2a": ranks(matrix.T.copy(), ties)})
    for direction in DIRECTIONS:
        assert len({tuple(each[direction].tolist()) for each in found}) == 1


@unhurried
@given(lengthy_clips(), aggregations)
def test_a_clip_that_is_there_twice_ties_with_itself_exactly(features, aggregation):
    twice = np.concatenate([features, features], axis=1)
    half = features.shape[1]
    once, doubled = (
        rank_clips(*part, names(part), Options(aggregation, chunk=3)) for part in (features, twice)
    )
    for direction in DIRECTIONS:
        # Every answer that counts against a query does so twice.
        np.testing.assert_array_equal(doubled[direction][:half], 2 * once[direction])
        np.testing.assert_array_equal(doubled[direction][half:], 2 * once[direction])


@unhurried
@given(lengthy_clips(), aggregations, st.randoms())
def test_the_order_of_the_gallery_does_not_matter(features, aggregation, random):
    order = list(range(features.shape[1]))
    random.shuffle(order)
    options = Options(aggregation, chunk=2)
    before = rank_clips(*features, names(features), options)
    after = rank_clips(*features[:, order], names(features), options)
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(after[direction], before[direction][order])


@unhurried
@given(lengthy_clips(), aggregations, st.integers(-40, 40))
def test_the_unit_of_length_does_not_matter(features, aggregation, exponent):
    audio, image = features.astype(np.float32)
    scaled = audio * np.float32(2.0**exponent)
    before, after = (
        rank_clips(part, image, names(features), Options(aggregation)) for part in (audio, scaled)
    )
    for direction in DIRECTIONS:
        np.testing.assert_array_equal(after[direction], before[direction])


@unhurried
@given(matrices, st.sampled_from(TIES))
def test_ranks_of_a_matrix_equal_counting_one_by_one(matrix, ties):
    rows = matrix.tolist()
    expected = [rank for query, row in enumerate(rows) for rank in rank_by_hand(row, query, ties)]
    assert ranks(matrix, ties).tolist() == expected


@unhurried
@given(
    st.integers(1, 9).flatmap(
        lambda n: arrays(np.float32, (n, n), elements=st.sampled_from([0.0, 0.5, 1.0, np.nan]))
    )
)
def test_the_upstream_convention_measures_what_the_released_script_does(matrix):
    if np.isnan(matrix.diagonal()).all():
        return
    ours = recall_metrics(ranks(matrix, "upstream"))
    for name, value in released_metrics(matrix).items():
        assert ours[name] == pytest.approx(value, abs=1e-12)


@unhurried
@given(matrices, st.sampled_from(TIES))
def test_recall_grows_with_k_and_pessimism_never_gains(matrix, ties):
    metrics = recall_metrics(ranks(matrix, ties))
    assert 0 <= metrics["r1"] <= metrics["r5"] <= metrics["r10"] <= 1
    assert (ranks(matrix) >= ranks(matrix, "optimistic")).all()


@unhurried
@given(small_clips())
def test_without_ties_all_conventions_agree(features):
    matrix = similarity(*features)
    if any(len(set(row)) < len(row) for row in matrix.tolist()):
        return
    assert len({tuple(ranks(matrix, ties).tolist()) for ties in TIES}) == 1


def test_one_clip_is_always_found():
    clip = np.ones((1, 1, 1), np.float16)
    for aggregation in AGGREGATIONS:
        for ties in TIES:
            found = rank_clips(clip, clip, ["only"], Options(aggregation), ties)
            assert {direction: rank.tolist() for direction, rank in found.items()} == {
                "a2v": [1],
                "v2a": [1],
            }
