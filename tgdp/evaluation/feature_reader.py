"""The features of one encoder on one folder, each split and view looked up once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tgdp.errors import UserError
from tgdp.evaluation.embed import GLOBAL, Way
from tgdp.evaluation.feature_request import request_of
from tgdp.evaluation.features import ALONE, StoredFeatures, extract
from tgdp.evaluation.sanity import untrained
from tgdp.evaluation.subject import Subject
from tgdp.training.ranks import Ranks

Report = Callable[[int, int], None]


class FeatureReader:
    """Reads features out of the cache, where they are computed first if they are not there.

    What was read is kept, and so is what went wrong: a second question opens no file, checks no
    checksum and waits for no other rank.

    Attributes:
        subject: Whose features they are.

    Args:
        subject: Encoder and data.
        root: The cache.
        ranks: Who shares the work; all of them read the same in the same order.
        report: Called with clips done and clips in all.
    """

    def __init__(
        self,
        subject: Subject,
        root: Path,
        ranks: Ranks = ALONE,
        report: Report = lambda done, total: None,
    ) -> None:
        self.subject = subject
        self._root = root
        self._ranks = ranks
        self._report = report
        self._found: dict[tuple[str, Way], StoredFeatures | UserError] = {}

    def read(self, split: str, way: Way = GLOBAL) -> StoredFeatures:
        """Return the features of a split.

        Args:
            split: Which clips.
            way: How an input becomes a vector.

        Raises:
            UserError: The data cannot be read, or the cache cannot be written.
        """
        if (split, way) not in self._found:
            try:
                self._found[split, way] = self._extract(split, way)
            except UserError as error:
                self._found[split, way] = error
        found = self._found[split, way]
        if isinstance(found, UserError):
            raise found
        return found

    @cached_property
    def untrained(self) -> "FeatureReader":
        """The same of the encoder as the seed made it, before any step."""
        device = next(self.subject.encoder.parameters()).device
        encoder = untrained(self.subject.config).to(device)
        fresh = replace(self.subject, encoder=encoder, weights="untrained")
        return FeatureReader(fresh, self._root, self._ranks, self._report)

    def _extract(self, split: str, way: Way) -> StoredFeatures:
        config = self.subject.config
        request = request_of(config, way, split=split)
        workers = config.runtime.num_workers
        encoder = self.subject.encoder
        return extract(encoder, request, self._root, workers, self._ranks, self._report)
