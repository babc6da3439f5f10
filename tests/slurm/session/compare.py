"""Two results folders held against each other, run by run and bit by bit."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.same_run import differing, final, metrics
from tgdp.training.run_directory import RunDirectory

MEASURED = ("metrics", "intervals", "n", "missing")

OF_THE_PLACE = frozenset({"base_words", "run_ids"})
"""Columns of a table that say where its numbers lie, and how many threads made them."""


def compare(ours: Path, theirs: Path, table: str) -> Iterator[str]:
    """Yield a line for each run of two results folders, and at last one for the table of both.

    Args:
        ours: A results folder.
        theirs: Another one, with the same runs.
        table: Name of the table.
    """
    names = sorted(path.name for path in (ours / "runs").glob("*/"))
    same = 0
    for name in names:
        run, other = (RunDirectory(folder / "runs" / name) for folder in (ours, theirs))
        found = {
            "result": _result(run) == _result(other),
            "checkpoint": not differing(final(run), final(other)),
            "events": metrics(run) == metrics(other) != [],
        }
        same += all(found.values())
        words = ", ".join(f"{what} {_word(is_same)}" for what, is_same in found.items())
        status = run.status()
        yield f"{name} {words}; {status.attempt} jobs, {status.wasted_seconds:.1f} s lost"
    yield f"{same} of {len(names)} cells equal"
    rows, others = (_rows(folder / "tables" / f"{table}.csv") for folder in (ours, theirs))
    yield f"tables/{table}.csv: {len(rows)} rows {_word(rows == others)}"


def _word(is_same: bool) -> str:
    return "equal" if is_same else "DIFFERENT"


def _result(run: RunDirectory) -> dict[str, Any]:
    found = run.result()
    assert found is not None, f"{run.path} has no result"
    return {name: found[name] for name in MEASURED}


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    return [{key: row[key] for key in row if key not in OF_THE_PLACE} for row in rows]
