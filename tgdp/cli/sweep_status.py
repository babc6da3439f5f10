"""`tgdp-sweep status` and `plan`: how the runs of sweeps are, once or again and again."""

import gc
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, Sweep, expand
from tgdp.sweep.machine import share_out
from tgdp.sweep.plan import Plan, make_plan
from tgdp.sweep.progress import Progress, counts, follow
from tgdp.sweep.resolve import Words, parse_seeds, resolve_base
from tgdp.sweep.show import summary
from tgdp.sweep.show_progress import lines, rows, status_table
from tgdp.sweep.slurm.scheduler import SchedulerJob

FASTEST_S = 2.0

MANY, FASTEST_OF_MANY_S = 50, 15.0
"""A scheduler that everybody shares is not asked more often about many jobs."""


class Asked(NamedTuple):
    """A sweep over one base.

    Attributes:
        sweep: The declaration.
        cells: Its runs.
        words: The base in words.
    """

    sweep: Sweep
    cells: tuple[Cell, ...]
    words: str

    def plan(self, results: Path) -> Plan:
        """Return its plan as the run directories are now."""
        return make_plan(self.sweep, self.cells, results)


def asked(sweep: Sweep, words: Words, results: Path) -> Asked:
    """Return a sweep over the base that the command line names.

    Raises:
        UserError: A name, a key, a value or the data folder is not valid.
    """
    # Ten thousand configurations, all in use: looking for garbage takes as long as the rest.
    gc.disable()
    base = resolve_base(sweep, words, results)
    cells = expand(sweep, base.config, parse_seeds(words.seeds))
    return Asked(sweep, cells, words.describe(base.config.data.name))


def once(every: Sequence[Asked], results: Path, as_json: bool, whole: bool) -> None:
    """Show how all runs are.

    Args:
        every: Sweeps.
        results: The results folder.
        as_json: As a JSON list, a run each.
        whole: Show every run, however many.
    """
    console = Console()
    plans = [(one.plan(results), one.words) for one in every]
    found = follow(plans, results)
    if as_json:
        listed = [
            row for one, runs in zip(every, found, strict=True) for row in rows(one.sweep, runs)
        ]
        console.out(json.dumps(listed, indent=1), highlight=False)
        return
    for shown in _all_shown(every, plans, found, whole):
        console.print(shown)


def watch(every: Sequence[Asked], results: Path, pause_s: float, whole: bool) -> None:
    """Show how all runs are, again and again, until all is settled or somebody presses Ctrl-C.

    Args:
        every: Sweeps.
        results: The results folder.
        pause_s: Seconds between two looks; of many jobs, 15 at least.
        whole: Show every run, however many.

    Raises:
        UserError: The pause is too short.
    """
    if pause_s < FASTEST_S:
        raise UserError(f"--every {pause_s:g}: at least {FASTEST_S:g} s, for the scheduler's sake")
    ended: dict[str, SchedulerJob] = {}
    console = Console()
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            plans = [(one.plan(results), one.words) for one in every]
            found = follow(plans, results, ended)
            shown = _all_shown(every, plans, found, whole)
            pause = _pause(pause_s, [run for runs in found for run in runs])
            gc.collect()
            live.update(Group(*shown, Text(_clock(pause), "dim")), refresh=True)
            if not any(
                run.state in {"running", "queued", "trained"} for runs in found for run in runs
            ):
                return
            time.sleep(pause)


def show_plan(one: Asked, results: Path, jobs: int | None, as_json: bool) -> None:
    """Show what a launch would find: states, what is stale and why, GPU-hours, wall-clock.

    Args:
        one: The sweep.
        results: The results folder.
        jobs: Runs at once; None for what this machine has.
        as_json: As one JSON object.
    """
    console, plan = Console(), one.plan(results)
    (runs,) = follow([(plan, one.words)], results)
    at_once = share_out(jobs).jobs
    if as_json:
        console.out(json.dumps(_plan_data(one, plan, runs, at_once), indent=1), highlight=False)
        return
    console.print(status_table(one.sweep, runs))
    said = [*lines(runs), *summary(plan, at_once)[1:], *_gpu_hours_left(plan)]
    console.print("\n".join(said), soft_wrap=True, markup=False, highlight=False)


def _plan_data(one: Asked, plan: Plan, runs: tuple[Progress, ...], jobs: int) -> dict[str, Any]:
    gpu_s = _gpu_seconds_left(plan)
    return {
        "sweep": one.sweep.name,
        "base": one.words,
        "states": dict(counts(runs)),
        "to_run": len(plan.todo()),
        "jobs": jobs,
        "wall_s": plan.wall_seconds(jobs),
        "gpu_hours": None if gpu_s is None else gpu_s / 3600,
        "seconds_a_run": plan.estimate.seconds,
        "gpus_a_run": plan.estimate.gpus,
        "from": plan.estimate.origin,
        "runs": rows(one.sweep, runs),
    }


def _gpu_seconds_left(plan: Plan) -> float | None:
    if plan.estimate.seconds is None and plan.todo():
        return None
    return sum(plan.seconds_left(run) or 0.0 for run in plan.todo()) * plan.estimate.gpus


def _gpu_hours_left(plan: Plan) -> tuple[str, ...]:
    seconds = _gpu_seconds_left(plan)
    if not seconds:
        return ()
    return (f"About {seconds / 3600:,.1f} GPU-hours left, at {plan.estimate.gpus:.3g} GPUs a run.",)


def _all_shown(
    every: Sequence[Asked],
    plans: Sequence[tuple[Plan, str]],
    found: Sequence[tuple[Progress, ...]],
    whole: bool,
) -> list[RenderableType]:
    triples = zip(every, plans, found, strict=True)
    return [_shown(one, plan, runs, whole) for one, (plan, _), runs in triples]


def _shown(one: Asked, plan: Plan, runs: tuple[Progress, ...], whole: bool) -> RenderableType:
    said = Text("\n".join((*lines(runs, whole), *summary(plan, share_out(None).jobs)[1:])))
    return Group(status_table(one.sweep, runs, whole), said)


def _pause(asked_s: float, runs: Sequence[Progress]) -> float:
    active = sum(len(run.life.active) for run in runs)
    return max(asked_s, FASTEST_OF_MANY_S) if active > MANY else asked_s


def _clock(pause: float) -> str:
    return f"{time.strftime('%H:%M:%S')}, again every {pause:g} s; Ctrl-C leaves the runs alone"
