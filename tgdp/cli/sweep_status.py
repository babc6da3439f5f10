"""`tgdp-sweep status` and `plan`: how the runs of sweeps are, once or again and again."""

import atexit
import gc
import json
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, Sweep, expand
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.last_launch import file_of, recall
from tgdp.sweep.machine import share_out
from tgdp.sweep.plan import Plan, make_plan
from tgdp.sweep.progress import Progress, counts, follow
from tgdp.sweep.records import read
from tgdp.sweep.resolve import Base, Words, parse_seeds, resolve_base
from tgdp.sweep.show import summary
from tgdp.sweep.show_progress import lines, rows, status_table
from tgdp.sweep.slurm.scheduler import SchedulerJob, polite

FASTEST_S = 2.0

GOES_ON = frozenset({"running", "queued", "trained"})
"""States of which something may still come by itself."""

Looked = tuple["Asked", Plan, tuple[Progress, ...]]
"""A sweep, its plan, and how each of its runs is."""


class Asked(NamedTuple):
    """A sweep over one base.

    Attributes:
        sweep: The declaration.
        base: What its rows start from.
        cells: Its runs.
        words: The base in words.
        recalled: Whether the base is that of its last launch, and nobody's words.
    """

    sweep: Sweep
    base: Base
    cells: tuple[Cell, ...]
    words: str
    recalled: bool = False

    def plan(self, results: Path) -> Plan:
        """Return its plan as the run directories are now."""
        return make_plan(self.sweep, self.cells, results)


def load_launched(name: str, results: Path) -> Sweep:
    """Return the declaration of a sweep by its name, also of one that was launched by a file.

    Raises:
        UserError: There is none, or its file is not valid any more.
    """
    last = recall(results, name)
    return load_sweep(name if last is None or last.file is None else last.file)


def as_launched(sweep: Sweep, seeds: str | None, results: Path) -> Asked:
    """Return a sweep over the base that it was last launched on, and all seeds launched on it.

    Args:
        sweep: The sweep; one that was never launched has the base that it would have.
        seeds: Text of `--seeds`; None for those that were launched.
        results: The results folder.

    Raises:
        UserError: The base is not valid any more.
    """
    last = recall(results, sweep.name)
    if last is None:
        return asked(sweep, Words(seeds=seeds), results)
    words = last.words
    try:
        base = _base(sweep, words, results)
    except UserError as error:
        raise UserError(
            f"{error} (so '{sweep.name}' was last launched: {file_of(results, sweep.name)}; for "
            "another base give --preset, --data or --set)"
        ) from error
    described = words.describe(base.config.data.name)
    noted = {note.seed for note in read(results, sweep.name) if note.words == described}
    chosen = parse_seeds(seeds) or tuple(sorted(noted)) or None
    return Asked(sweep, base, expand(sweep, base.config, chosen), described, recalled=True)


def asked(sweep: Sweep, words: Words, results: Path) -> Asked:
    """Return a sweep over the base that the command line names.

    Raises:
        UserError: A name, a key, a value or the data folder is not valid.
    """
    base = _base(sweep, words, results)
    cells = expand(sweep, base.config, parse_seeds(words.seeds))
    return Asked(sweep, base, cells, words.describe(base.config.data.name))


def _base(sweep: Sweep, words: Words, results: Path) -> Base:
    # Ten thousand configurations, all in use: looking for garbage takes as long as the rest, even
    # at the end, when Python looks once more.
    gc.disable()
    atexit.register(gc.freeze)
    return resolve_base(sweep, words, results)


def once(every: Sequence[Asked], results: Path, as_json: bool, whole: bool) -> None:
    """Show how all runs are.

    Args:
        every: Sweeps.
        results: The results folder.
        as_json: As a JSON list, a run each.
        whole: Show every run, however many.
    """
    console = Console()
    found = _look(every, results)
    if as_json:
        listed = [row for one, _, runs in found for row in rows(one.sweep, runs)]
        console.out(json.dumps(listed, indent=1), highlight=False)
        return
    for looked in found:
        console.print(_shown(looked, whole))


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
    with _screen(Console()) as show:
        while True:
            found = _look(every, results, ended)
            runs = [run for _, _, some in found for run in some]
            pause = _pause(pause_s, runs)
            gc.collect()
            shown = (_shown(looked, whole) for looked in found)
            show(Group(*shown, Text(_clock(pause), "dim")))
            if not any(run.state in GOES_ON or run.life.active for run in runs):
                return
            time.sleep(pause)


@contextmanager
def _screen(console: Console) -> Generator[Callable[[RenderableType], None], None, None]:
    """Give what shows one look after the other: in the same place, or in a file one by one."""
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        yield lambda shown: live.update(shown, refresh=True)


def show_plan(
    one: Asked,
    results: Path,
    jobs: int | None,
    as_json: bool,
    measure: Callable[[Plan], Plan] = lambda plan: plan,
) -> None:
    """Show what a launch would find: states, what is stale and why, GPU-hours, wall-clock.

    Args:
        one: The sweep.
        results: The results folder.
        jobs: Runs at once; None for what this machine has.
        as_json: As one JSON object.
        measure: Gives a plan a better estimate.

    Raises:
        UserError: `measure` could not.
    """
    console = Console()
    plan = measure(one.plan(results))
    (runs,) = follow(((plan, one.words),), results, queue_alone=True)
    at_once = share_out(jobs).jobs
    if as_json:
        console.out(json.dumps(_plan_data(one, plan, runs, at_once), indent=1), highlight=False)
        return
    console.print(status_table(one.sweep, runs))
    said = [
        f"Base: {one.words}.",
        *lines(runs, costs=False),
        *summary(plan, at_once)[1:],
        *_gpu_hours_left(plan),
    ]
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


def _look(
    every: Sequence[Asked], results: Path, ended: dict[str, SchedulerJob] | None = None
) -> list[Looked]:
    plans = [one.plan(results) for one in every]
    pairs = [(plan, one.words) for one, plan in zip(every, plans, strict=True)]
    return list(zip(every, plans, follow(pairs, results, ended), strict=True))


def _shown(looked: Looked, whole: bool) -> RenderableType:
    one, plan, runs = looked
    base = f"Base: {one.words}{', as last launched' * one.recalled}."
    said = Text("\n".join((base, *lines(runs, whole), *summary(plan, share_out(None).jobs)[1:])))
    return Group(status_table(one.sweep, runs, whole), said)


def _pause(asked_s: float, runs: Sequence[Progress]) -> float:
    return polite(asked_s, sum(len(run.life.active) for run in runs))


def _clock(pause: float) -> str:
    return f"{time.strftime('%H:%M:%S')}, again every {pause:g} s; Ctrl-C leaves the runs alone"
