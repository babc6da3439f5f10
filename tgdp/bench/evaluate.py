"""How long retrieval takes: ours by every aggregation, the released way, the ancestors' loop."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tgdp.bench.extra_memory import peak_extra_bytes
from tgdp.bench.timing import Timing
from tgdp.errors import UserError
from tgdp.evaluation.aggregations import AGGREGATIONS
from tgdp.evaluation.counting import Options
from tgdp.evaluation.ranking import recall_metrics
from tgdp.evaluation.retrieval import rank_clips

Features = NDArray[np.floating[Any]]

MIB = 1 << 20
NOISE = 1.0
"""Of a film against its sound, so that some clips are found and some are not."""

AT_ONCE = 256
"""Clips made at a time."""

HEADINGS = ("clips", "", "median s", "spread s", "extra MiB", "x the loop")


@dataclass(frozen=True)
class Request:
    """What is to be timed.

    Attributes:
        clips: In memory, in single precision: by every aggregation and every way.
        large: In files, in half precision: by `diagonal_mean`, once; none if 0.
        frames: Of a clip.
        width: Of a feature.
        queries: Of each direction that the loop is timed on.
        runs: Runs that count, after one that does not.
        device: Of our products.
    """

    clips: int = 1545
    large: int = 20_000
    frames: int = 16
    width: int = 768
    queries: int = 4
    runs: int = 3
    device: str = "cpu"


@dataclass(frozen=True)
class Row:
    """What one way of counting took, both directions, from features to recalls.

    Attributes:
        clips: That were ranked.
        timing: Seconds of all of them; the loop's are scaled up from its queries.
        extra_bytes: The most memory held beside the features; None where it cannot be told.
        loop: Median seconds of the ancestors' loop for the same, None where it was not timed.
    """

    clips: int
    timing: Timing
    extra_bytes: int | None
    loop: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return what a table shows, in the order of `HEADINGS`."""
        name, median, spread, _ = self.timing.row()
        extra = "-" if self.extra_bytes is None else f"{self.extra_bytes / MIB:.0f}"
        ratio = "-" if self.loop is None else f"{self.loop / self.timing.median:.1f}"
        return f"{self.clips:,}", name, median, spread, extra, ratio


def time_retrieval(request: Request, folder: Path) -> Iterator[Row]:
    """Yield the rows of all ways, those of the clips in memory first.

    Args:
        request: What is to be timed.
        folder: Empty folder for the features that are mapped.

    Raises:
        UserError: More queries are asked for than there are clips.
    """
    if not 1 <= request.queries <= request.clips:
        raise UserError(f"queries is {request.queries}; choose 1 to {request.clips}, the clips")
    yield from _time_all(request)
    if request.large:
        yield _time_large(request, folder)


def _time_all(request: Request) -> list[Row]:
    shape = (request.clips, request.frames, request.width)
    audio, image = np.empty(shape, np.float32), np.empty(shape, np.float32)
    fill(audio, image)
    loop = f"loop ({request.queries} queries, scaled)"
    ways: dict[str, Callable[[], object]] = {
        **{
            f"ours, {name}": partial(ours, audio, image, name, request.device)
            for name in AGGREGATIONS
        },
        "released product": partial(released_product, audio, image),
        loop: partial(ancestors_loop, audio, image, request.queries),
    }
    extra = {name: peak_extra_bytes(work) for name, work in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    # In turn: what else the machine does hits all alike.
    for _ in range(request.runs):
        for name, work in ways.items():
            seconds[name].append(_seconds(work))
    scale = request.clips / request.queries
    seconds[loop] = [scale * part for part in seconds[loop]]
    timings = {name: Timing(name, tuple(part)) for name, part in seconds.items()}
    # The loop was timed for the default aggregation; the others would cost it as much or more.
    like_the_loop = {f"ours, {next(iter(AGGREGATIONS))}", "released product", loop}
    return [
        Row(
            request.clips,
            timing,
            extra[name],
            timings[loop].median if name in like_the_loop else None,
        )
        for name, timing in timings.items()
    ]


def _time_large(request: Request, folder: Path) -> Row:
    shape = (request.large, request.frames, request.width)
    audio, image = (
        np.memmap(folder / name, np.float16, "w+", shape=shape) for name in ("audio", "image")
    )
    fill(audio, image)
    seconds: list[float] = []

    def work() -> None:
        seconds.append(_seconds(partial(ours, audio, image, "diagonal_mean", request.device)))

    extra = peak_extra_bytes(work)
    return Row(request.large, Timing("ours, float16 in files, one run", tuple(seconds)), extra)


def ours(audio: Features, image: Features, aggregation: str, device: str) -> dict[str, float]:
    """Return R@1 of both directions, our way.

    Args:
        audio: (N, S, D).
        image: (N, S, D).
        aggregation: A name in `AGGREGATIONS`.
        device: Of the products.
    """
    ids = [str(number) for number in range(len(audio))]
    found = rank_clips(audio, image, ids, Options(aggregation, device=device))
    return {direction: recall_metrics(rank)["r1"] for direction, rank in found.items()}


def released_product(audio: Features, image: Features) -> dict[str, float]:
    """Return R@1 of both directions as the released script does for frame-wise features.

    A direction is one product in single precision of all clips, sorted as a whole.

    Source: released `retrieval.py`, `diag_mean_cosine` and `compute_metrics`; written anew.
    """
    found: dict[str, float] = {}
    for direction, (query, answer) in {"a2v": (audio, image), "v2a": (image, audio)}.items():
        ends = [F.normalize(torch.from_numpy(part), dim=-1).flatten(1) for part in (query, answer)]
        scores = (ends[0] @ ends[1].T / audio.shape[1]).numpy()
        best_first = -np.sort(-scores, axis=1)
        places = np.nonzero(best_first == scores.diagonal()[:, None])[1]
        found[direction] = float((places == 0).mean())
    return found


def ancestors_loop(audio: Features, image: Features, queries: int) -> dict[str, float]:
    """Return R@1 of the first queries of both directions, by a loop over pairs and frames.

    Args:
        audio: (N, S, D).
        image: (N, S, D).
        queries: How many of each direction; their answers are all N.

    Source: CAV-MAE Sync's retrieval, kept in the released `retrieval.py` as `get_agg_sim_mat` with
        `diagonal_mean`; written anew.
    """
    found: dict[str, float] = {}
    for direction, (query, answer) in {"a2v": (audio, image), "v2a": (image, audio)}.items():
        scores = np.empty((queries, len(answer)))
        for i in range(queries):
            for j in range(len(answer)):
                cosines = [_cosine(a, b) for a, b in zip(query[i], answer[j], strict=True)]
                scores[i, j] = np.mean(cosines)
        truth = scores.diagonal()[:, None]
        found[direction] = float(((scores >= truth).sum(axis=1) == 1).mean())
    return found


def fill(audio: Features, image: Features, seed: int = 0) -> None:
    """Fill features with unit frames of noise, a film like its sound, some clips at a time.

    Args:
        audio: (N, S, D), written to.
        image: (N, S, D), written to.
        seed: Of the noise.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, len(audio), AT_ONCE):
        clips = slice(start, start + AT_ONCE)
        sound = generator.standard_normal(audio[clips].shape, dtype=np.float32)
        other = generator.standard_normal(audio[clips].shape, dtype=np.float32)
        for features, part in ((audio, sound), (image, sound + NOISE * other)):
            features[clips] = part / np.linalg.norm(part, axis=-1, keepdims=True)


def _cosine(first: Features, second: Features) -> float:
    return np.dot(first, second) / (np.linalg.norm(first) * np.linalg.norm(second))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
