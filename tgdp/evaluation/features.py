"""Features computed once for equal weights, clips, view and precision, and kept on the disk."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from tgdp.data.clips import ClipDataset
from tgdp.errors import UserError
from tgdp.evaluation.embed import ClipFeatures, embed_chunks, ids_of, rows_of
from tgdp.evaluation.feature_files import Array
from tgdp.evaluation.feature_request import FeatureRequest, facts_of
from tgdp.evaluation.feature_store import Entry
from tgdp.model.encoder import Encoder
from tgdp.training.ranks import Ranks, any_rank, told

Answer = TypeVar("Answer")

ALONE = Ranks()

Report = Callable[[int, int], None]


class StoredFeatures(NamedTuple):
    """Vectors of every frame and its segment, on the disk, read where they are looked at.

    Attributes:
        ids: Clip ids, in the order of the rows.
        audio: (N, S, D) float32 or float16, not to be written.
        image: (N, S, D), likewise.
        folder: The cache entry.
    """

    ids: list[str]
    audio: Array
    image: Array
    folder: Path

    def as_float32(self) -> ClipFeatures:
        """Return the same as float32; what is stored so stays where it is."""
        audio, image = (np.asarray(part, np.float32) for part in (self.audio, self.image))
        return ClipFeatures(self.ids, audio, image)


def extract(
    encoder: Encoder,
    request: FeatureRequest,
    root: Path,
    num_workers: int = 0,
    ranks: Ranks = ALONE,
    report: Report = lambda done, total: None,
) -> StoredFeatures:
    """Return features from the cache, and compute first what of them is not there.

    Number of ranks, number of loader processes and kills in between change nothing about them.

    Args:
        encoder: Evaluated as it is, on its own device.
        request: What is asked for.
        root: The cache, seen by all ranks.
        num_workers: Loader processes.
        ranks: Who shares the work; with several, all of them call this.
        report: Called with clips done and clips in all; of several ranks, without those that the
            others compute.

    Raises:
        UserError: The data cannot be read, or the cache cannot be written.
    """
    dataset = ClipDataset(request.folder, request.split, request.data)
    entry = Entry(root, facts_of(encoder, request, dataset))
    with ExitStack() as stack:

        def open_entry() -> list[int] | None:
            if entry.is_done():
                return None
            stack.enter_context(entry.locked())
            # Another process may have finished it while this one waited.
            return None if entry.is_done() else entry.prepare()

        missing = _first_says(open_entry, ranks)
        if missing is not None:
            work = _Work(encoder, request, dataset, entry, missing)
            _all_or_none(lambda: _compute(work, num_workers, ranks, report), encoder, ranks)
            _first_says(entry.finish, ranks)
    arrays = entry.arrays()
    if arrays is None:
        raise UserError(f"{entry.folder}: the features cannot be read; does this rank see them?")
    return StoredFeatures(ids_of(dataset), *arrays, entry.folder)


class _Work(NamedTuple):
    encoder: Encoder
    request: FeatureRequest
    dataset: ClipDataset
    entry: Entry
    missing: list[int]


def _compute(work: _Work, num_workers: int, ranks: Ranks, report: Report) -> None:
    """Write the chunks of this rank."""
    num_clips = len(work.dataset)
    own = work.missing[ranks.rank :: ranks.world]
    done = num_clips - _clips_in(work.missing, num_clips)
    total = done + _clips_in(own, num_clips)
    chunks = embed_chunks(work.encoder, work.dataset, own, work.request.way, num_workers)
    with work.entry.writer(ranks.rank) as writer:
        for chunk in chunks:
            writer.write(chunk)
            done += len(chunk.audio)
            report(done, total)


def _clips_in(chunks: Iterable[int], num_clips: int) -> int:
    return sum(len(rows_of(number, num_clips)) for number in chunks)


def _first_says(question: Callable[[], Answer], ranks: Ranks) -> Answer:
    """Return what the first rank finds, on every rank; what the user must mend is raised on all."""
    if ranks.world == 1:
        return question()
    answer = None
    error = None
    if ranks.is_first:
        try:
            answer = question()
        except UserError as found:
            error = str(found)
    answer, error = told((answer, error))
    if error is not None:
        raise UserError(error)
    return answer  # type: ignore[return-value]


def _all_or_none(step: Callable[[], None], encoder: Encoder, ranks: Ranks) -> None:
    """Take a step on every rank; where one has an error to mend, none waits for it in vain."""
    error: UserError | None = None
    try:
        step()
    except UserError as found:
        error = found
    device: torch.device = next(encoder.parameters()).device
    if ranks.world > 1 and any_rank(error is not None, device) and error is None:
        raise UserError("another rank could not compute its features; it says why")
    if error is not None:
        raise error
