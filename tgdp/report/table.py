"""A table before it is written: rows in declared order, ours and the published value beside it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import isnan

import pandas as pd

from tgdp.report import stats
from tgdp.report.published import Published, Shelf
from tgdp.sweep.declare import Metric, Sweep, Variant
from tgdp.sweep.track_summary import Summary

CONTEXT = ["fingerprint", "protocol", "split", "on_training_clips"]
"""Numbers that differ in one of these never share a table."""

URGENCY = ("running", "failed", "diverged", "interrupted", "not run")
"""Which reason speaks for a row whose seeds have different ones."""


@dataclass(frozen=True)
class Entry:
    """One cell: a row under a metric.

    Attributes:
        metric: The column.
        numbers: One value a finished seed, in the unit of the column.
        seeds: The seeds of the numbers.
        published: The published number, if the paper has the row.
    """

    metric: Metric
    numbers: tuple[float, ...]
    seeds: tuple[int, ...]
    published: Published | None

    @property
    def mean(self) -> float | None:
        """Mean over the seeds."""
        return stats.mean(self.numbers)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over the seeds."""
        return stats.sample_sd(self.numbers)

    @property
    def difference(self) -> float | None:
        """Ours minus published."""
        theirs = self.published.value if self.published else None
        return None if self.mean is None or theirs is None else self.mean - theirs


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        label: First column.
        entries: The cells, one a metric.
        done: Seeds with numbers.
        wanted: Seeds asked for.
        clips: Number of clips retrieved among, of each finished seed.
        reason: Why there is no number, where there is none.
        problems: A line for each reason, with the seeds that have no number because of it.
        run_ids: MLflow runs of the finished seeds.
        signatures: Signatures of the finished seeds.
    """

    label: str
    entries: tuple[Entry, ...]
    done: int
    wanted: int
    clips: tuple[int, ...]
    reason: str
    problems: tuple[str, ...]
    run_ids: tuple[str, ...]
    signatures: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A sweep on one base, under one protocol, on one data set.

    Attributes:
        sweep: The declaration.
        summary: Where it was asked for.
        rows: The rows, in declared order.
        dataset: Name of the data.
        fingerprint: Content of the data.
        split: Split that was retrieved among.
        protocol: How it was measured.
        on_training_clips: Whether the clips retrieved among were trained on.
    """

    sweep: Sweep
    summary: Summary
    rows: tuple[Row, ...]
    dataset: str
    fingerprint: str
    split: str
    protocol: str
    on_training_clips: bool

    @property
    def clips(self) -> tuple[int, ...]:
        """The different numbers of clips that were retrieved among."""
        return tuple(sorted({number for row in self.rows for number in row.clips}))

    def best(self, column: int) -> float | None:
        """Return the best mean of a column, or None where fewer than two rows have one."""
        key = self.sweep.metrics[column].key
        means = [m for row in self.rows if (m := row.entries[column].mean) is not None]
        if len(means) < 2:
            return None
        return min(means) if stats.lower_is_better(key) else max(means)


def build(sweep: Sweep, summary: Summary, frame: pd.DataFrame, shelf: Shelf) -> list[Table]:
    """Return the table of a summary; more than one where its numbers must not be compared.

    Args:
        sweep: The declaration.
        summary: Where the table was asked for.
        frame: What `collect` returned for it.
        shelf: The published numbers.
    """
    done = frame[frame["state"] == "done"]
    open_cells = frame[frame["state"] != "done"]
    groups = [part for _, part in done.groupby(CONTEXT, sort=True)]
    if not groups:
        return [_table(sweep, summary, frame, shelf)]
    # A cell without numbers is missing from each of them.
    return [_table(sweep, summary, pd.concat([part, open_cells]), shelf) for part in groups]


def _table(sweep: Sweep, summary: Summary, frame: pd.DataFrame, shelf: Shelf) -> Table:
    known = frame[frame["run_id"] != ""]
    done = known[known["state"] == "done"]
    first = next(iter((done if len(done) else known).to_dict("records")), {})
    dataset = str(first.get("dataset", ""))
    rows = tuple(_row(sweep, variant, frame, dataset, shelf) for variant in _variants(sweep, frame))
    return Table(
        sweep,
        summary,
        rows,
        dataset=dataset,
        fingerprint=str(first.get("fingerprint", "")),
        split=str(first.get("split", "")),
        protocol=str(first.get("protocol", "")),
        on_training_clips=bool(first.get("on_training_clips", False)),
    )


def _variants(sweep: Sweep, frame: pd.DataFrame) -> list[Variant]:
    declared = {variant.label: variant for variant in sweep.variants}
    # A row whose label is no longer declared was measured all the same.
    former = [label for label in frame["variant"].unique() if label not in declared]
    return [*declared.values(), *(Variant(label) for label in former)]


def _row(sweep: Sweep, variant: Variant, frame: pd.DataFrame, dataset: str, shelf: Shelf) -> Row:
    cells = frame[frame["variant"] == variant.label].sort_values("seed")
    done = cells[cells["state"] == "done"].to_dict("records")
    missing = cells[cells["state"] != "done"].to_dict("records")
    entries = tuple(
        _entry(metric, done, dataset, shelf.find(sweep, variant, metric))
        for metric in sweep.metrics
    )
    return Row(
        variant.label,
        entries,
        done=len(done),
        wanted=len(cells),
        clips=tuple(int(cell["clips"]) for cell in done),
        reason=_reason([str(cell["reason"]) for cell in missing]),
        problems=_problems([(int(cell["seed"]), str(cell["reason"])) for cell in missing]),
        run_ids=tuple(str(cell["run_id"]) for cell in done),
        signatures=tuple(str(cell["signature"]) for cell in done),
    )


def _entry(
    metric: Metric,
    done: Sequence[dict[Hashable, object]],
    dataset: str,
    published: Published | None,
) -> Entry:
    name, scale = metric.name(dataset), 100 if metric.percent else 1
    pairs = [(cell["seed"], cell.get(name)) for cell in done]
    found = [
        (seed, value) for seed, value in pairs if isinstance(value, float) and not isnan(value)
    ]
    numbers = tuple(scale * value for _, value in found)
    return Entry(metric, numbers, tuple(int(str(seed)) for seed, _ in found), published)


def _reason(reasons: Sequence[str]) -> str:
    def urgency(reason: str) -> int:
        return next((i for i, word in enumerate(URGENCY) if reason.startswith(word)), len(URGENCY))

    return min(reasons, key=urgency) if reasons else "not run"


def _problems(missing: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    seeds: dict[str, list[str]] = {}
    for seed, why in missing:
        seeds.setdefault(why, []).append(str(seed))
    return tuple(
        f"{'seed' if len(found) == 1 else 'seeds'} {', '.join(found)}: {why}"
        for why, found in seeds.items()
    )
