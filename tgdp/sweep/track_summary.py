"""One summary run a table: which rows and seeds it wants, its means, the table and the figure.

A table is a sweep on one base. The base is named by a hash over everything the cells share, so that
the same request finds the same summary again, and two presets or two data sets never share one.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.config import flatten, science
from tgdp.sweep.declare import Cell, Sweep
from tgdp.sweep.track_run import metric_name, write_tags
from tgdp.sweep.track_store import Store, TrackedRun

ROW = "tgdp.row."
"""Tag of a row of the table: its label and the signature of each seed."""

Rows = dict[str, dict[int, str]]
"""Label of a row -> seed -> signature, in the order of the table."""


@dataclass(frozen=True)
class Summary:
    """A table that was asked for.

    Attributes:
        run_id: Its MLflow run.
        sweep: Name of the sweep.
        base: Hash of what every row shares.
        words: The base in words.
        asked: When it was last asked for, milliseconds.
        rows: Which run stands in which row.
        metrics: Newest numbers stored in it.
        tags: Its tags.
    """

    run_id: str
    sweep: str
    base: str
    words: str
    asked: int
    rows: Rows
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Update:
    """New contents of a summary run.

    Attributes:
        summary: The summary to bring up to date.
        metrics: Its numbers.
        files: Files to keep with it.
        note: Its description, in markdown.
    """

    summary: Summary
    metrics: Mapping[str, float]
    files: Sequence[Path] = ()
    note: str = ""


def base_hash(sweep: Sweep, cells: Sequence[Cell]) -> str:
    """Return the name of the base: a hash over its science, without the seed.

    A key that rows vary enters with the value it has in a row that leaves it alone; where every row
    sets it, the base's own value is seen nowhere and stays out.
    """
    shared: dict[str, Any] = _flat_science(cells[0])
    for key in {key for variant in sweep.variants for key in variant.changes} | {"seed"}:
        untouched = (c for c in cells if key != "seed" and key not in c.variant.changes)
        cell = next(untouched, None)
        if cell is None:
            shared.pop(key, None)
        else:
            shared[key] = flatten(cell.config)[key]
    text = json.dumps([sweep.name, shared], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def summaries(store: Store) -> tuple[Summary, ...]:
    """Return every table that was asked for, newest first."""
    found = [_summary(run) for run in store.runs("summary")]
    return tuple(sorted(found, key=lambda summary: summary.asked, reverse=True))


def register(store: Store, sweep: Sweep, cells: Sequence[Cell], words: str) -> Summary:
    """Write down which runs a table wants; seeds asked for earlier stay wanted.

    Args:
        store: The opened store.
        sweep: The declaration.
        cells: The runs asked for now.
        words: The base in words.
    """
    base = base_hash(sweep, cells)
    found = (s for s in summaries(store) if (s.sweep, s.base) == (sweep.name, base))
    summary = next(found, None)
    run_id = summary.run_id if summary else _create(store, sweep, base, words)
    rows = _merge(summary.rows if summary else {}, sweep, cells)
    tags = {
        f"{ROW}{index:03d}": json.dumps({"label": label, "cells": seeds})
        for index, (label, seeds) in enumerate(rows.items())
    }
    now = int(time.time() * 1000)
    tags |= {"tgdp.words": words, "tgdp.asked": str(now)}
    write_tags(store, run_id, tags)
    held: Mapping[str, str] = summary.tags if summary else {}
    metrics: Mapping[str, float] = summary.metrics if summary else {}
    return Summary(run_id, sweep.name, base, words, now, rows, metrics, {**held, **tags})


def row_tag(sweep: str) -> str:
    """Return the tag of a run that says in which row of a sweep it stands."""
    return f"tgdp.sweep.{sweep}"


def mark_members(store: Store, summary: Summary, known: Mapping[str, TrackedRun]) -> None:
    """Tag the runs of a table with their row, for the filters of the UI."""
    for label, seeds in summary.rows.items():
        wanted = {row_tag(summary.sweep): label, f"tgdp.base.{summary.sweep}": summary.base}
        for signature in seeds.values():
            run = known.get(signature)
            if run and any(run.tags.get(key) != value for key, value in wanted.items()):
                write_tags(store, run.run_id, wanted)


def write_update(store: Store, update: Update) -> None:
    """Bring a summary run up to date; nothing is written where nothing has changed."""
    _write_numbers(store, update)
    digest = hashlib.sha256(update.note.encode())
    for file in update.files:
        digest.update(file.read_bytes())
    if update.summary.tags.get("tgdp.files") == digest.hexdigest():
        return
    for file in update.files:
        store.keep(update.summary.run_id, file)
    store.client.set_terminated(update.summary.run_id, "FINISHED")
    tags = {"mlflow.note.content": update.note, "tgdp.files": digest.hexdigest()}
    write_tags(store, update.summary.run_id, tags)


def _write_numbers(store: Store, update: Update) -> None:
    from mlflow.entities import Metric

    held = update.summary.metrics
    numbers = {metric_name(key): value for key, value in update.metrics.items()}
    changed = {key: value for key, value in numbers.items() if held.get(key) != value}
    if not changed:
        return
    # The newest value is the one with the highest step, not the one written last.
    revision = int(update.summary.tags.get("tgdp.revision", "0")) + 1
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, revision) for key, value in changed.items()]
    store.client.log_batch(update.summary.run_id, metrics=metrics)
    write_tags(store, update.summary.run_id, {"tgdp.revision": str(revision)})


def _flat_science(cell: Cell) -> dict[str, Any]:
    kept = science(cell.config)
    return {key: value for key, value in flatten(cell.config).items() if _holds(kept, key)}


def _holds(nested: Mapping[str, Any], key: str) -> bool:
    first, _, rest = key.partition(".")
    return first in nested and (not rest or _holds(nested[first], rest))


def _create(store: Store, sweep: Sweep, base: str, words: str) -> str:
    tags = {"tgdp.kind": "summary", "tgdp.sweep": sweep.name, "tgdp.base": base}
    name = f"summary: {sweep.name}, {words or base}"
    return str(store.client.create_run(store.experiment_id, tags=tags, run_name=name).info.run_id)


def _merge(held: Rows, sweep: Sweep, cells: Sequence[Cell]) -> Rows:
    rows: Rows = {variant.label: {} for variant in sweep.variants}
    for label, seeds in held.items():
        rows.setdefault(label, {}).update(seeds)
    for cell in cells:
        rows.setdefault(cell.variant.label, {})[cell.seed] = cell.signature
    return {label: dict(sorted(seeds.items())) for label, seeds in rows.items() if seeds}


def _summary(run: TrackedRun) -> Summary:
    rows: Rows = {}
    for key in sorted(key for key in run.tags if key.startswith(ROW)):
        row = json.loads(run.tags[key])
        rows[row["label"]] = {int(seed): name for seed, name in row["cells"].items()}
    return Summary(
        run.run_id,
        run.tags.get("tgdp.sweep", ""),
        run.tags.get("tgdp.base", ""),
        run.tags.get("tgdp.words", ""),
        int(run.tags.get("tgdp.asked", "0")),
        rows,
        run.metrics,
        run.tags,
    )
