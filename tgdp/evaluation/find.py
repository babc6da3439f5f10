"""Finds a run by its folder or by the beginning of its signature."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from tgdp.errors import UserError
from tgdp.training.run_directory import RunDirectory

LISTED = 5
"""Most names in one message."""


def find_run(where: str, results: Path) -> RunDirectory:
    """Return the run that was meant.

    Args:
        where: A run directory, or a signature or the beginning of one below `results/runs`.
        results: The results folder.

    Raises:
        UserError: No run is called so, or more than one; those near to it are listed.
    """
    if Path(where).is_dir():
        return RunDirectory(Path(where).resolve())
    runs = results / "runs"
    names = sorted(path.name for path in runs.iterdir() if path.is_dir()) if runs.is_dir() else []
    if not names:
        raise UserError(f"no run '{where}': {runs} holds none; train one first: tgdp-train")
    found = [where] if where in names else [n for n in names if where and n.startswith(where)]
    if len(found) > 1:
        raise UserError(f"{len(found)} runs in {runs} begin with '{where}': {listed(found)}")
    if not found:
        raise UserError(f"no run '{where}' in {runs}. {nearest(where, names)}")
    return RunDirectory((runs / found[0]).resolve())


def results_of(run: RunDirectory, results: Path) -> Path:
    """Return the results folder that a run lies in, the given one where it lies in none."""
    return run.path.parent.parent if run.path.parent.name == "runs" else results


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return a sentence with the names most like one that is not there."""
    names = sorted(choices)
    close = difflib.get_close_matches(name, names, n=LISTED, cutoff=0.3)
    return f"Near it: {listed(close)}" if close else f"There are: {listed(names)}"


def listed(names: list[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
