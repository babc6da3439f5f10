"""Rows below a table that no row should be below or above, measured once and kept as files.

Nothing here imports torch: a table is printed again from `results/sanity/` in a moment.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.config import Config, load, override
from tgdp.config.signature import science
from tgdp.data.files import write_whole
from tgdp.data.synthetic.spec import EMBEDDED
from tgdp.errors import UserError
from tgdp.report import stats
from tgdp.report.probes import ProbeMetric
from tgdp.report.table import Entry, Row, Table
from tgdp.sweep.declare import Variant
from tgdp.sweep.track import Tracked

FOLDER = "sanity"
"""In the results folder: one JSON file a row and seed."""

VERSION = 1
"""Raised when the same request gives other numbers; it enters every name."""

CHANCE, MEAN, UNTRAINED, ORACLE = "chance", "mean embedding", "untrained", "oracle"
SHAPE = ("model.", "data.")
"""Keys that make another untrained encoder, or show it other inputs."""

NOT_SEEN = frozenset({"name", "fingerprint", "train_split"})
"""Fields of `data` that change nothing about a clip; the fingerprint is that of the table."""

Say = Callable[[str], None]


def _nothing(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Request:
    """One sanity row for one seed.

    Attributes:
        row: Its label.
        config: Shape, data and seed.
        protocol: How it is measured.
        fingerprint: Content of the data.
        split: Which clips.
    """

    row: str
    config: Config
    protocol: str
    fingerprint: str
    split: str

    def facts(self) -> dict[str, Any]:
        """Return everything that the numbers depend on."""
        facts: dict[str, Any] = {
            "version": VERSION,
            "row": self.row,
            "protocol": self.protocol,
            "fingerprint": self.fingerprint,
            "split": self.split,
        }
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


def rows(
    results: Path, table: Table, tracked: Tracked, progress: Say = _nothing, warn: Say = _nothing
) -> tuple[Row, ...]:
    """Return the sanity rows of a table; none where it has no finished run.

    Args:
        results: The results folder.
        table: The table.
        tracked: What the store holds: it says where the runs lie.
        progress: Called with words for what is measured next.
        warn: Called with the reason why the embedded benchmark has no oracle here.

    Raises:
        UserError: The run that they start from or its data is not on this machine, or a file
            cannot be read or written.
    """
    if not table.clips:
        return ()
    config = base(table, tracked)
    seeds = sorted({seed for row in table.rows for seed in row.seeds})

    def measured(label: str, seeds: Sequence[int]) -> Row:
        found: list[Mapping[str, Any]] = []
        for seed in seeds or (config.seed,):
            seeded = override(config, {"seed": seed})
            request = Request(label, seeded, table.protocol, table.fingerprint, table.split)
            found.append(_numbers(results, request, progress))
        return _row(label, table, found, seeds)

    made = [_chance(table), measured(MEAN, seeds), measured(UNTRAINED, seeds)]
    if config.data.name == EMBEDDED.name:
        try:
            made.append(measured(ORACLE, ()))
        except UserError as error:
            warn(f"no row '{ORACLE}': {error}")
    return tuple(made)


def base(table: Table, tracked: Tracked) -> Config:
    """Return a run's configuration that has the base's model and data, if any row has.

    Args:
        table: The table.
        tracked: What the store holds.

    Raises:
        UserError: The folder of that run is not on this machine.
    """
    changes = {variant.label: variant for variant in table.sweep.variants}
    done = [row for row in table.rows if row.signatures]
    alike = [row for row in done if not _is_reshaped(changes.get(row.label))]
    run = tracked.runs[(alike or done)[0].signatures[0]]
    folder = Path(run.tags.get("tgdp.directory", ""))
    try:
        return load(folder / "config.yaml")
    except UserError as error:
        raise UserError(f"--sanity: the rows start from run {folder.name}: {error}") from error


def _is_reshaped(variant: Variant | None) -> bool:
    return variant is not None and any(key.startswith(SHAPE) for key in variant.changes)


def _chance(table: Table) -> Row:
    clips = table.clips[0]
    entries: list[Entry] = []
    for metric in table.sweep.metrics:
        level = None if isinstance(metric, ProbeMetric) else stats.chance(metric.key, clips)
        numbers = () if level is None else (100 * level,)
        entries.append(Entry(metric, numbers, (), clips=(clips,) * len(numbers)))
    return _as_row(CHANCE, entries)


def _row(label: str, table: Table, found: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> Row:
    entries: list[Entry] = []
    for metric in table.sweep.metrics:
        name = metric.key.rpartition("{dataset}/")[2]
        scale = 100 if metric.percent else 1
        held = [one for one in found if name in one["metrics"]]
        entries.append(
            Entry(
                metric,
                numbers=tuple(scale * float(one["metrics"][name]) for one in held),
                seeds=tuple(seeds) if held else (),
                clips=tuple(int(one["n"]) for one in held),
            )
        )
    return _as_row(label, entries)


def _as_row(label: str, entries: Sequence[Entry]) -> Row:
    done = max(len(entry.seeds) for entry in entries)
    clips = max((entry.clips for entry in entries), key=len)
    return Row(label, tuple(entries), done, done, clips, "", (), (), ())


def _numbers(results: Path, request: Request, progress: Say) -> Mapping[str, Any]:
    file = request.file(results)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {"n": found["n"], "metrics": found["metrics"]}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); delete it: it is measured") from error
    progress(f"Measuring {request.row}, seed {request.config.seed} ...")
    # Imported here: torch takes seconds, and most tables are printed from what is kept.
    from tgdp.report.sanity_measure import measure

    found = {**measure(request, results / "features"), "facts": request.facts()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{file}: cannot write ({error.strerror})") from error
    return found
