"""Zero-shot retrieval: similarities, exact ranks, recall (method section 4), on plain arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

PROTOCOL = "retrieval/v1"
"""Frame-wise cosines averaged over equal frame numbers, ties counted against us, full view."""

RECALLS = (1, 5, 10)


def diagonal_mean(audio: NDArray[np.float32], image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the similarity of every sound to every film: the mean cosine of equal frames.

    Args:
        audio: (N, S, D), L2-normalised.
        image: (M, S, D), L2-normalised.

    Returns:
        (N, M), row: sound, column: film.

    Source: method section 4; released `retrieval.py`, strategy `diagonal_mean`.
    """
    num_frames = audio.shape[1]
    # A sum over frames of dot products is one dot product of the frames laid end to end.
    return audio.reshape(len(audio), -1) @ image.reshape(len(image), -1).T / num_frames


def ranks(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rank of each query's own answer, from 1; ties count against us.

    Args:
        similarity: (N, N), row: query, column: answer, truth on the diagonal.

    Raises:
        ValueError: A similarity is not finite; the query is named by its number.

    Example:
        >>> ranks(np.array([[0.9, 0.1], [0.7, 0.7]]))
        array([1, 2])

    Source: ours. Upstream: ties enter several times and NaN rows drop out.
    """
    bad = np.flatnonzero(~np.isfinite(similarity).all(axis=1))
    if bad.size:
        raise ValueError(f"similarity of query {bad[0]} is not finite")
    truth = similarity.diagonal()[:, None]
    return (similarity >= truth).sum(axis=1)


def recall_metrics(rank: NDArray[np.int64]) -> dict[str, float]:
    """Return R@1, R@5, R@10 as fractions, and the median rank.

    Args:
        rank: Rank of each query's own answer, from 1.

    Example:
        >>> recall_metrics(np.array([1, 2, 7, 100]))
        {'r1': 0.25, 'r5': 0.5, 'r10': 0.75, 'median_rank': 4.5}
    """
    recalls = {f"r{k}": float((rank <= k).mean()) for k in RECALLS}
    return {**recalls, "median_rank": float(np.median(rank))}


def retrieve(
    audio: NDArray[np.float32], image: NDArray[np.float32], ids: Sequence[str]
) -> dict[str, float]:
    """Return the metrics of both directions, `a2v/r1` and so on, from one similarity matrix.

    Args:
        audio: (N, S, D), L2-normalised.
        image: (N, S, D), L2-normalised, clip by clip the same order.
        ids: Clip ids, for the error message.

    Raises:
        ValueError: A feature is not finite; the clip is named.
    """
    for name, features in (("audio", audio), ("image", image)):
        bad = np.flatnonzero(~np.isfinite(features).all(axis=(1, 2)))
        if bad.size:
            raise ValueError(f"{name} features of clip {ids[bad[0]]} are not finite")
    similarity = diagonal_mean(audio, image)
    directions = {"a2v": similarity, "v2a": similarity.T}
    return {
        f"{direction}/{name}": value
        for direction, matrix in directions.items()
        for name, value in recall_metrics(ranks(matrix)).items()
    }
