"""How long one run takes, from runs that have finished."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tgdp.config import science
from tgdp.sweep.declare import Cell, Sweep
from tgdp.sweep.differences import flat, stored_config
from tgdp.sweep.gpu_hours import count_gpus
from tgdp.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from tgdp.sweep.plan import PlannedRun

MOST_LOOKED_AT = 30
"""Other sweeps' runs that are read for an estimate: a YAML file takes some 20 ms."""

REFERENCE = Path(__file__).resolve().parents[2] / "results"
"""Where the committed reference runs lie, in a checkout."""


@dataclass(frozen=True)
class Estimate:
    """Seconds that one whole run takes.

    Attributes:
        seconds: Mean over the runs it was taken from; None where there is none.
        origin: Where the number comes from, in words.
        gpus: Mean number of GPUs that those runs had; 0 where they had none or it is not known.
    """

    seconds: float | None
    origin: str
    gpus: float = 0.0


UNKNOWN = Estimate(None, "unknown: no run of this shape has finished yet")


def estimate_seconds(sweep: Sweep, runs: tuple["PlannedRun", ...], results: Path) -> Estimate:
    """Return what one run of a sweep is expected to take.

    Args:
        sweep: The declaration; its varied keys are taken not to matter for the time.
        runs: Its runs with their states.
        results: Results folder; runs of other sweeps with the same shape count too.
    """
    own = [run for run in runs if run.state == "done" and run.status.seconds > 0]
    if own:
        seconds = [run.status.seconds for run in own]
        return _mean(seconds, "this sweep's finished runs", [run.run for run in own])
    if not any(run.state != "done" for run in runs):
        return UNKNOWN
    other = _of_equal_shape(sweep, runs[0].cell, results / "runs")
    if other:
        seconds, seen = [one for one, _ in other], [run for _, run in other]
        return _mean(seconds, "finished runs of the same shape", seen)
    reference = _reference_seconds(REFERENCE / f"{sweep.name}.csv", runs)
    return _mean(reference, "the committed reference runs") if reference else UNKNOWN


def _mean(seconds: list[float], origin: str, runs: Sequence[RunDirectory] = ()) -> Estimate:
    gpus = [count_gpus(run) for run in runs[:MOST_LOOKED_AT]]
    return Estimate(fmean(seconds), f"{origin} (n = {len(seconds)})", fmean(gpus) if gpus else 0.0)


def _of_equal_shape(sweep: Sweep, cell: Cell, folder: Path) -> list[tuple[float, RunDirectory]]:
    varied = {key for variant in sweep.variants for key in variant.changes} | {"seed"}
    shape = _shape(cell, varied)
    found: list[tuple[float, RunDirectory]] = []
    for run in _newest(folder):
        status = run.status()
        if status.state == "done" and status.seconds > 0 and _stored_shape(run, varied) == shape:
            found.append((status.seconds, run))
    return found


def _newest(folder: Path) -> Iterable[RunDirectory]:
    try:
        paths = [path for path in folder.iterdir() if path.is_dir()]
    except OSError:
        return ()
    paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return (RunDirectory(path) for path in paths[:MOST_LOOKED_AT])


def _shape(cell: Cell, varied: set[str]) -> str:
    return _text(flat(science(cell.config)), varied)


def _stored_shape(run: RunDirectory, varied: set[str]) -> str | None:
    # A run of another version of the project: no ground for an estimate, and no error either.
    config = stored_config(run)
    return None if config is None else _text(flat(science(config)), varied)


def _text(flat: Mapping[str, Any], varied: set[str]) -> str:
    return json.dumps({key: flat[key] for key in flat if key not in varied}, sort_keys=True)


def _reference_seconds(path: Path, runs: tuple["PlannedRun", ...]) -> list[float]:
    signatures = {run.cell.signature for run in runs}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:
        return []
    return [
        float(row["seconds"])
        for row in rows
        if row.get("seconds") and row.get("signature") in signatures
    ]
