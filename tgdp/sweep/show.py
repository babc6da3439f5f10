"""Plans and states in words: numbers, times, and the tables of `--dry-run` and `status`."""

from typing import TYPE_CHECKING, Any

from tgdp.sweep.plan import STATES, Plan, PlannedRun
from tgdp.training.run_directory import ENDED_BADLY

if TYPE_CHECKING:
    from rich.table import Table

COLORS = {
    "new": "default",
    "stale": "magenta",
    "queued": "bright_blue",
    "running": "cyan",
    "interrupted": "yellow",
    "diverged": "magenta",
    "failed": "red",
    "trained": "blue",
    "done": "green",
}

NEVER_CUT = {"run": 12, "state": 11}
"""Columns a narrow terminal must not shorten, with their width: names are there to be copied."""


def clock(seconds: float | None) -> str:
    """Return a length of time as `m:ss` or `h:mm:ss`; a dash where it is not known."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(counts: dict[Any, int]) -> str:
    """Return how many runs are in each state that any is in, in words."""
    return ", ".join(f"{counts[state]} {state}" for state in reversed(STATES) if counts.get(state))


def colored(state: str) -> str:
    """Return a state with its colour, as rich markup."""
    return f"[{COLORS.get(state, 'default')}]{state}[/]"


def plan_table(plan: Plan) -> "Table":
    """Return the table of `--dry-run`: a line a run."""
    probes = ("probes missing",) if _probes_asked(plan) else ()
    table = _table(plan, "row", "seed", "run", "state", "estimate", *probes)
    for planned in plan.runs:
        left = plan.seconds_left(planned)
        shown = "-" if planned.state == "done" else clock(left)
        cells = (colored(planned.state), shown, *(str(len(planned.missing)) for _ in probes))
        table.add_row(*_names(planned), *cells)
    return table


def summary(plan: Plan, jobs: int) -> tuple[str, ...]:
    """Return the totals under the plan: states, estimated time, what is left out and why."""
    number = f"{len(plan.runs)} run{'s' * (len(plan.runs) != 1)}"
    lines = [f"{number}: {counted(plan.counts())}.", *_probe_lines(plan)]
    wall = plan.wall_seconds(jobs)
    if any(run.state != "done" for run in plan.todo()):
        known = f"about {clock(wall)} with {jobs} at once; from {plan.estimate.origin}"
        lines.append(f"Time left: {plan.estimate.origin if wall is None else known}.")
    elif not plan.todo():
        lines.append("Nothing left to run.")
    for state in ENDED_BADLY:
        number = plan.counts()[state]
        if number and state not in plan.retry:
            lines.append(f"{number} {state} before and stay so; --retry-{state} tries them again.")
    return tuple(lines)


def _probes_asked(plan: Plan) -> int:
    return sum(len(run.probes) for run in plan.runs)


def _probe_lines(plan: Plan) -> list[str]:
    """Return which probes are asked for and how many are missing; their time is not known."""
    asked = _probes_asked(plan)
    if not asked:
        return []
    names = ", ".join(map(str, plan.runs[0].probes))
    number = sum(len(run.missing) for run in plan.runs)
    return [f"{asked} probes ({names}): {asked - number} done, {number} missing."]


def _table(plan: Plan, *columns: str) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=f"{plan.sweep.name}: {plan.sweep.question}", box=box.SIMPLE_HEAD)
    for name in columns:
        right = name in {"seed", "estimate", "probes missing", "step", "loss", "time", "jobs"}
        width = NEVER_CUT.get(name)
        table.add_column(name, justify="right" if right else "left", min_width=width)
    return table


def _names(planned: PlannedRun) -> tuple[str, str, str]:
    from rich.markup import escape

    return escape(planned.cell.variant.label), str(planned.cell.seed), planned.cell.signature
