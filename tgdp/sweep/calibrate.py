"""How long the runs of a sweep take where nothing like them has run: a few steps of each row."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from tgdp.config import override, signature
from tgdp.errors import UserError
from tgdp.sweep.declare import Cell
from tgdp.sweep.estimate import Estimate
from tgdp.sweep.gpu_hours import count_gpus
from tgdp.sweep.lifetime import look
from tgdp.sweep.logs import log_path
from tgdp.sweep.plan import Plan, PlannedRun, make_plan
from tgdp.sweep.scaling import steps_of
from tgdp.sweep.slurm.reasons import how_ended
from tgdp.training.run_directory import RunDirectory

STEPS = 40

STRETCHES = 4
"""Between two of its metric lines a run times a stretch of steps; the first holds the warm-up."""

FOLDER = ".calibration"
"""Of a results folder: the short runs lie in it, where neither tables nor estimates find them."""

TIMED = "perf/samples_per_s"


def short_runs(plan: Plan, results: Path) -> Plan:
    """Return the plan of the short runs, one for each row that has runs left; nothing is written.

    Args:
        plan: Of the whole sweep.
        results: Its results folder; the short runs lie below it.
    """
    first = {run.cell.variant.label: run.cell for run in reversed(plan.todo())}
    cells = tuple(_short(cell) for cell in reversed(first.values()))
    return make_plan(plan.sweep, cells, results / FOLDER)


def calibrated(plan: Plan, short: Plan, splits: Mapping[str, int]) -> Plan:
    """Return a plan with the estimate that follows from its short runs.

    Args:
        plan: Of the whole sweep.
        short: Its short runs.
        splits: Clips of each split of the data.

    Raises:
        UserError: A short run is not done.
    """
    for run in short.runs:
        if run.state != "done":
            raise UserError(
                f"{run.run.path}: the short run of row '{run.cell.variant.label}' {_ended(run)}; "
                "mend that and calibrate again"
            )
    folder = short.runs[0].folder
    of_row: dict[str, float] = {}
    for run in plan.todo():
        cell = run.cell
        if cell.variant.label not in of_row:
            steps, batch = steps_of(cell.row, splits[cell.row.data.train_split])
            timed = _Timed(RunDirectory(folder / _short(cell).signature))
            of_row[cell.variant.label] = timed.seconds(steps, batch)
    mean = fmean(of_row[run.cell.variant.label] for run in plan.todo())
    gpus = fmean(count_gpus(run.run) for run in short.runs)
    return replace(plan, estimate=Estimate(mean, f"{STEPS} steps of each row", gpus))


def _ended(run: PlannedRun) -> str:
    """Return how a run ended that is not done: in its own words, else in those of SLURM."""
    (life,) = look([(run.run, run.status)])
    held = life.current
    if run.status.error:
        return f"is {run.state} ({run.status.error})"
    if held is None:
        return f"is {run.state} (stopped; log: {log_path(run.run)})"
    when = "before tgdp began" if run.state == "new" else f"and left it {run.state}"
    said = f"{how_ended(held.job)}; " if held.job else ""
    log = held.record.error_log
    return f"is not done: its job {held.record.job} ended {when} ({said}log: {log})"


class _Timed:
    """A short run that is done.

    Args:
        run: Its directory.
    """

    def __init__(self, run: RunDirectory) -> None:
        values = [event["values"] for event in run.events() if event["kind"] == "metric"]
        self._rates = [found[TIMED] for found in values if TIMED in found][1:]
        self._whole = run.status().seconds
        if not self._rates:
            raise UserError(f"{run.path}: timed no steps; delete it and calibrate again")

    def seconds(self, steps: int, batch: int) -> float:
        """Return the seconds of a run of so many steps, and of what a run costs however short."""
        step = fmean(batch / rate for rate in self._rates)
        return max(0.0, self._whole - STEPS * step) + steps * step


def _short(cell: Cell) -> Cell:
    changes = {
        "seed": 0,
        "training.steps": STEPS,
        "training.epochs": None,
        "runtime.log_every": STEPS // STRETCHES,
        "runtime.save_every": STEPS,
        "runtime.evaluate_every": None,
    }
    config = override(cell.config, changes, "calibration")
    return Cell(cell.variant, 0, config, signature(config))
