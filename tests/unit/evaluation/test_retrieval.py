"""Ranks and recalls, by hand and against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tgdp.evaluation.retrieval import diagonal_mean, ranks, recall_metrics, retrieve

matrices = st.integers(1, 12).flatmap(
    lambda n: arrays.arrays(np.float32, (n, n), elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
)


@given(matrices)
def test_ranks_equal_counting_one_by_one_with_ties_against_us(similarity):
    expected = [
        1 + sum(row[j] >= row[i] for j in range(len(row)) if j != i)
        for i, row in enumerate(similarity)
    ]
    assert ranks(similarity).tolist() == expected


@given(matrices, st.randoms())
def test_the_order_of_the_gallery_does_not_matter(similarity, random):
    order = list(range(len(similarity)))
    random.shuffle(order)
    shuffled = similarity[np.ix_(order, order)]
    assert sorted(ranks(shuffled)) == sorted(ranks(similarity))


def test_recalls_of_known_ranks():
    metrics = recall_metrics(np.array([1, 2, 7, 100]))
    assert metrics == {"r1": 0.25, "r5": 0.5, "r10": 0.75, "median_rank": 4.5}


def test_a_constant_model_gets_nothing():
    assert recall_metrics(ranks(np.ones((20, 20), np.float32)))["r10"] == 0


def test_diagonal_mean_is_the_mean_cosine_of_equal_frames():
    rng = np.random.default_rng(0)
    audio, image = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    slow = [[np.mean([a[s] @ v[s] for s in range(3)]) for v in image] for a in audio]
    np.testing.assert_allclose(diagonal_mean(audio, image), slow, rtol=1e-5)


def test_both_directions_come_from_one_matrix():
    eye = np.eye(3, dtype=np.float32)[:, None]
    other = np.stack([eye[0], eye[0], eye[2]])
    metrics = retrieve(eye, other, ["a", "b", "c"])
    # Sound b has no film of its own; film b looks like film a.
    assert metrics["a2v/r1"] == pytest.approx(1 / 3)
    assert metrics["v2a/r1"] == pytest.approx(2 / 3)


def test_a_feature_that_is_not_finite_names_its_clip():
    features = np.ones((2, 1, 3), np.float32)
    broken = features.copy()
    broken[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"image features of clip -x\.7"):
        retrieve(features, broken, ["ok", "-x.7"])
    with pytest.raises(ValueError, match="query 1"):
        ranks(np.array([[1.0, 0.0], [np.inf, 0.0]], np.float32))
