"""Rows whose science has changed since they were run: the run that is there is of another name."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tgdp.errors import UserError
from tgdp.sweep import records
from tgdp.sweep.declare import Sweep
from tgdp.sweep.differences import Difference, of_science
from tgdp.sweep.plan import PlannedRun
from tgdp.training.run_directory import RunDirectory


class Former(NamedTuple):
    """The run that a row and seed had before.

    Attributes:
        run: Its directory.
        changed: Keys in which it differs from what the row asks for now.
    """

    run: RunDirectory
    changed: tuple[Difference, ...]

    def __str__(self) -> str:
        """Return it in words."""
        why = ", ".join(map(str, self.changed)) or "what names a run (docs/sweeps.md)"
        return f"was {self.run.name}; changed since: {why}"


def former_runs(
    results: Path, sweep: Sweep, words: str, runs: Iterable[PlannedRun]
) -> dict[str, Former]:
    """Return the former run of each run that was never started, where there is one.

    Args:
        results: The results folder.
        sweep: The declaration.
        words: The base in words, as a launch notes them.
        runs: The runs of now.
    """
    before: dict[tuple[str, str, str, int], list[str]] = {}
    for record in records.read(results, sweep.name):
        before.setdefault(record.place, []).append(record.run)
    found: dict[str, Former] = {}
    for planned in runs if before else ():
        cell = planned.cell
        names = before.get((sweep.name, words, cell.variant.label, cell.seed), [])
        if planned.state == "new" and (former := _newest(planned, names)) is not None:
            found[cell.signature] = former
    return found


def _newest(planned: PlannedRun, names: list[str]) -> Former | None:
    for name in reversed(names):
        run = RunDirectory(planned.folder / name)
        if name != planned.cell.signature and run.status().state != "new":
            try:
                return Former(run, of_science(run, planned.cell.config))
            except UserError:
                return Former(run, ())
    return None
