"""From the lines that `collect` found to tables, one for what may be compared."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

import pandas as pd

from tgdp.report.measured import UNKNOWN
from tgdp.report.probes import ProbeMetric, columns
from tgdp.report.published import Published, Shelf
from tgdp.report.table import Entry, Row, Table
from tgdp.sweep.declare import Metric, Sweep, Variant
from tgdp.sweep.track_summary import Summary

CONTEXT = ["fingerprint", "protocol", "split", "on_training_clips"]
"""Numbers that differ in one of these never share a table."""

URGENCY = ("running", "failed", "diverged", "interrupted", "trained", "not run")
"""Which reason speaks for a row whose seeds have different ones."""


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
    sweep = replace(sweep, metrics=(*sweep.metrics, *columns(done, dataset)))
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
        seeds=tuple(int(cell["seed"]) for cell in done),
    )


def _entry(
    metric: Metric,
    done: Sequence[dict[Hashable, object]],
    dataset: str,
    published: Published | None,
) -> Entry:
    scale = 100 if metric.percent else 1
    pairs = [(cell, _number(metric, cell, dataset)) for cell in done]
    found = [(cell, value) for cell, value in pairs if value is not None]
    return Entry(
        metric,
        numbers=tuple(scale * value for _, value in found),
        seeds=tuple(int(str(cell["seed"])) for cell, _ in found),
        published=published,
        clips=tuple(_clips(metric, cell) for cell, _ in found),
    )


def _number(metric: Metric, cell: Mapping[Hashable, Any], dataset: str) -> float | None:
    if isinstance(metric, ProbeMetric):
        value = cell.get(metric.column) if metric.holds(cell) else None
    else:
        value = cell.get(metric.name(dataset))
    return value if isinstance(value, float) and not isnan(value) else None


def _clips(metric: Metric, cell: Mapping[Hashable, Any]) -> int:
    if isinstance(metric, ProbeMetric):
        return cell["measured"].get(metric.column, UNKNOWN).clips
    return int(cell["clips"])


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
