"""What a run finds: for some queries the first answers and the rank of the true one, to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tgdp.data.shards import PreparedClips
from tgdp.evaluation.embed import embed_clips
from tgdp.evaluation.picture_arrays import Shown, Source
from tgdp.evaluation.picture_clips import Wish, choose, places_of
from tgdp.evaluation.ranking import ranks
from tgdp.evaluation.retrieval import similarity
from tgdp.evaluation.stored import Stored
from tgdp.training.loading import data_folder

Direction = Literal["a2v", "v2a"]

NUM_ANSWERS = 5


@dataclass(frozen=True)
class Answer:
    """A clip that was found.

    Attributes:
        clip: Its id.
        score: Similarity to the query, mean cosine of equal frames.
        is_truth: Whether it is the query's own clip.
    """

    clip: str
    score: float
    is_truth: bool


@dataclass(frozen=True)
class Query:
    """What was asked, and what came.

    Attributes:
        clip: Its id.
        direction: `a2v`: the sound looks for its film; `v2a`: the film for its sound.
        rank: Of the true answer, from 1; ties count against us.
        answers: The first ones.
    """

    clip: str
    direction: Direction
    rank: int
    answers: tuple[Answer, ...]


@dataclass(frozen=True)
class Exhibit:
    """A clip as people see and hear it.

    Attributes:
        shown: A frame, and the stretch of sound beside it.
        wave: The whole sound, (L,) float32 at 16 kHz.
    """

    shown: Shown
    wave: NDArray[np.float32]


@dataclass(frozen=True)
class Gallery:
    """Queries with their answers.

    Attributes:
        source: Run and data.
        num_clips: Clips that were searched.
        queries: As asked for, the hardest of each direction behind the chosen ones.
        exhibits: Every clip that is shown, by its id.
    """

    source: Source
    num_clips: int
    queries: tuple[Query, ...]
    exhibits: dict[str, Exhibit]


def gallery(
    stored: Stored, run: str, ids: Sequence[str] = (), hardest: int = 4, workers: int = 0
) -> Gallery:
    """Return chosen queries and the hardest ones, both directions.

    Args:
        stored: The run, on its device.
        run: Its name, for the caption.
        ids: Clips whose sound and film are asked.
        hardest: Queries of each direction whose true answer stands farthest behind.
        workers: Loader processes.

    Raises:
        UserError: The data cannot be read, or there is no such clip.
    """
    config = stored.config
    folder, split = data_folder(config), config.evaluation.split
    found = embed_clips(stored.student.encoder, folder, split, config.data, workers)
    places = places_of(ids, found.ids, split)
    scores = similarity(found.audio, found.image)
    queries = [
        *_ask(found.ids, scores, "a2v", places, hardest),
        *_ask(found.ids, scores.T, "v2a", places, hardest),
    ]
    named = sorted({q.clip for q in queries} | {a.clip for q in queries for a in q.answers})
    source, exhibits = _exhibits(stored, run, named)
    return Gallery(source, len(found.ids), tuple(queries), exhibits)


def _ask(
    ids: list[str],
    scores: NDArray[np.float32],
    direction: Direction,
    chosen: list[int],
    hardest: int,
) -> list[Query]:
    rank = ranks(scores)
    behind = [int(place) for place in np.argsort(-rank, kind="stable") if place not in chosen]
    queries: list[Query] = []
    for place in [*chosen, *behind[:hardest]]:
        first = np.argsort(-scores[place], kind="stable")[:NUM_ANSWERS]
        answers = (Answer(ids[a], float(scores[place, a]), bool(a == place)) for a in first)
        queries.append(Query(ids[place], direction, int(rank[place]), tuple(answers)))
    return queries


def _exhibits(stored: Stored, run: str, ids: list[str]) -> tuple[Source, dict[str, Exhibit]]:
    chosen = choose(stored, Wish(run, ids=tuple(ids)))
    clips = PreparedClips(data_folder(stored.config))
    numbers = {name: number for number, name in enumerate(clips.ids)}
    exhibits = {
        shown.id: Exhibit(shown, np.asarray(clips.waveform(numbers[shown.id]), np.float32))
        for shown in chosen.shown
    }
    return chosen.source, exhibits
