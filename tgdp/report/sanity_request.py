"""What one sanity row is measured by, and where its numbers are kept. Nothing imports torch."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tgdp.config import Config
from tgdp.config.signature import science
from tgdp.evaluation.probe.settings import ProbeSettings

FOLDER = "sanity"
"""In the results folder: one JSON file a row, column of probes, and seed."""

VERSION = 1
"""Raised when the same request gives other numbers; it enters every name."""

CHANCE, MEAN, UNTRAINED, ORACLE = "chance", "mean embedding", "untrained", "oracle"

NOT_SEEN = frozenset({"name", "fingerprint", "train_split"})
"""Fields of `data` that change nothing about a clip; the fingerprint is that of the table."""

NOT_COUNTED = frozenset({"resamples", "map_resamples"})
"""Settings of a probe that change its intervals and no number of a row."""


class Probe(NamedTuple):
    """How the runs of a column were probed.

    Attributes:
        settings: Which probe, and how it is trained; without bootstraps.
        train_split: Clips it is trained on.
    """

    settings: ProbeSettings
    train_split: str

    def facts(self) -> dict[str, Any]:
        """Return everything that changes a number of the probe, but for the clips tested."""
        told = {**asdict(self.settings), "rates": self.settings.grid}
        kept = {name: value for name, value in told.items() if name not in NOT_COUNTED}
        return {**kept, "train_split": self.train_split}


@dataclass(frozen=True)
class Request:
    """One sanity row for one seed: all of its retrieval, or one of its probes.

    Attributes:
        row: Its label.
        config: Shape, data and seed.
        protocol: How it is measured.
        fingerprint: Content of the data.
        split: Clips that are retrieved among, or tested on.
        probe: The probe; None for retrieval.
    """

    row: str
    config: Config
    protocol: str
    fingerprint: str
    split: str
    probe: Probe | None = None

    def __str__(self) -> str:
        """Return what is measured, in words."""
        of = f" by {self.protocol} {self.probe.settings.modality}" if self.probe else ""
        return f"{self.row}{of}" + ("" if self.row == ORACLE else f", seed {self.config.seed}")

    def facts(self) -> dict[str, Any]:
        """Return everything that the numbers depend on."""
        facts: dict[str, Any] = {
            "version": VERSION,
            "row": self.row,
            "protocol": self.protocol,
            "fingerprint": self.fingerprint,
            "split": self.split,
        }
        if self.probe:
            facts["probe"] = self.probe.facts()
        if self.row == ORACLE:  # The causes of a clip know neither encoder nor seed.
            return facts
        model = science(self.config.model)
        del model["decoder"]
        data = {k: v for k, v in science(self.config.data).items() if k not in NOT_SEEN}
        return {**facts, "model": model, "data": data, "seed": self.config.seed}

    def file(self, results: Path) -> Path:
        """Return where its numbers are kept."""
        text = json.dumps(self.facts(), sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        return results / FOLDER / f"{self.row.replace(' ', '-')}-{digest}.json"
