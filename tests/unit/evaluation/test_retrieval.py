"""Ranks and recalls, by hand and in closed form."""

import doctest

import numpy as np
import pytest

from tgdp.errors import UserError
from tgdp.evaluation import aggregations, ranking, retrieval
from tgdp.evaluation.counting import BLOCK_BYTES, SCORES_BYTES, Options, blocks, count_clips
from tgdp.evaluation.ranking import ranks, ranks_from, recall_metrics
from tgdp.evaluation.retrieval import diagonal_mean, rank_clips, retrieve, similarity


@pytest.mark.parametrize("module", [aggregations, ranking, retrieval])
def test_the_worked_examples_hold(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_recalls_of_known_ranks():
    metrics = recall_metrics(np.array([1, 2, 7, 100]))
    recalls = {"r1": 0.25, "r5": 0.5, "r10": 0.75}
    assert metrics == {**recalls, "median_rank": 4.5, "mean_rank": 27.5}


def test_a_constant_model_gets_nothing():
    assert recall_metrics(ranks(np.ones((20, 20), np.float32)))["r10"] == 0
    features = np.full((20, 2, 4), 0.5, np.float32)
    assert retrieve(features, features, [str(n) for n in range(20)])["v2a/r10"] == 0


def test_diagonal_mean_is_the_mean_cosine_of_equal_frames():
    rng = np.random.default_rng(0)
    audio, image = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    slow = [[np.mean([a[s] @ v[s] for s in range(3)]) for v in image] for a in audio]
    np.testing.assert_allclose(diagonal_mean(audio, image), slow, rtol=1e-5)


def test_scores_are_as_exact_as_single_precision_can_be():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 30, 16, 768)).astype(np.float32)
    audio, image = features / np.linalg.norm(features, axis=-1, keepdims=True)
    exact = np.einsum("nsd,msd->nm", audio.astype(np.float64), image.astype(np.float64)) / 16
    # Features are rounded to 2^-24, as single precision rounds numbers near 1.
    np.testing.assert_allclose(diagonal_mean(audio, image), exact, rtol=0, atol=2**-24)


def test_both_directions_come_from_one_matrix():
    eye = np.eye(3, dtype=np.float32)[:, None]
    other = np.stack([eye[0], eye[0], eye[2]])
    metrics = retrieve(eye, other, ["a", "b", "c"])
    # Sound b has no film of its own; film b looks like film a.
    assert metrics["a2v/r1"] == pytest.approx(1 / 3)
    assert metrics["v2a/r1"] == pytest.approx(2 / 3)


def test_a_run_records_what_it_always_did():
    eye = np.eye(3, dtype=np.float32)[:, None]
    names = {"r1", "r5", "r10", "median_rank"}
    directions = ("a2v", "v2a")
    assert set(retrieve(eye, eye, "abc")) == {f"{d}/{name}" for d in directions for name in names}


@pytest.mark.parametrize(("value", "words"), [(np.nan, "not finite"), (3e38, "too large")])
@pytest.mark.parametrize("aggregation", aggregations.AGGREGATIONS)
def test_a_score_that_is_not_finite_names_its_clip(aggregation, value, words):
    features = np.ones((2, 1, 3), np.float32)
    broken = features.copy()
    broken[1, 0, 0] = value
    for chunk in (None, 1):
        options = Options(aggregation, chunk)
        with pytest.raises(UserError, match=rf"image features of clip -x\.7 are {words}"):
            count_clips(features, broken, ["ok", "-x.7"], options)
        with pytest.raises(UserError, match=r"audio features of clip -x\.7"):
            count_clips(broken, features, ["ok", "-x.7"], options)


def test_a_similarity_that_is_not_finite_names_its_query():
    matrix = np.array([[1.0, 0.0], [np.inf, 0.0]], np.float32)
    with pytest.raises(UserError, match="query 1"):
        ranks(matrix)


def test_upstream_counting_drops_queries_without_a_score_and_divides_by_the_matches():
    matrix = np.array([[1.0, 1.0, 0.0], [0.0, np.nan, 0.0], [0.5, 0.0, 0.4]], np.float32)
    # Query 0 enters at the places 1 and 2, query 1 not at all, query 2 at place 2.
    assert ranks(matrix, "upstream").tolist() == [1, 2, 2]
    assert recall_metrics(ranks(matrix, "upstream"))["r1"] == pytest.approx(1 / 3)
    with pytest.raises(UserError, match="no rank"):
        recall_metrics(ranks(np.full((2, 2), np.nan), "upstream"))


def test_features_in_a_file_are_ranked_like_those_in_memory(tmp_path):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 9, 2, 8)).astype(np.float16)
    mapped = []
    for number, part in enumerate(features):
        np.save(tmp_path / f"{number}.npy", part)
        mapped.append(np.load(tmp_path / f"{number}.npy", mmap_mode="r"))
    ids = [str(number) for number in range(9)]
    wanted = rank_clips(*features, ids)
    for direction, rank in rank_clips(*mapped, ids, Options(chunk=4)).items():
        np.testing.assert_array_equal(rank, wanted[direction])


@pytest.mark.parametrize("shape", [(16, 768), (1, 1), (200, 4), (1, 10**7)])
def test_blocks_hold_every_clip_once_and_fit_into_memory(shape):
    num_frames, width = shape
    # One number stands for all: nothing of that size is held here.
    features = np.broadcast_to(np.float16(1), (100_000, num_frames, width))
    cut = list(blocks(features, None))
    assert [part.start for part in cut] == [0, *(part.stop for part in cut[:-1])]
    assert cut[-1].stop == len(features)
    most = cut[0].stop
    assert most == 1 or most * num_frames * width * 8 <= BLOCK_BYTES
    assert most**2 * num_frames * 8 <= SCORES_BYTES


def test_what_cannot_be_ranked_is_refused_by_name():
    clips = np.ones((2, 1, 3), np.float32)
    with pytest.raises(UserError, match="diagonal_mean"):
        rank_clips(clips, clips, "ab", Options("diagonal"))
    with pytest.raises(UserError, match="pessimistic"):
        rank_clips(clips, clips, "ab", ties="fair")
    with pytest.raises(UserError, match=r"\(1, 1, 3\)"):
        retrieve(clips, clips[:1], "ab")
    with pytest.raises(UserError, match="1 ids for 2 clips"):
        retrieve(clips, clips, "a")
    with pytest.raises(UserError, match="chunk is 0"):
        rank_clips(clips, clips, "ab", Options(chunk=0))
    with pytest.raises(UserError, match="convention"):
        ranks_from(ranking.count(np.eye(2)), "none")
    with pytest.raises(UserError, match="aggregation"):
        similarity(clips, clips, "median")
