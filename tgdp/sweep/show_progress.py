"""A sweep while it lives, as a table, as lines below it, and as plain data."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tgdp.sweep.declare import Sweep
from tgdp.sweep.progress import IN_WORK, Progress, counts, reasons
from tgdp.sweep.show import clock, colored
from tgdp.sweep.trouble import cause_of, trouble
from tgdp.training.run_directory import ENDED_BADLY

if TYPE_CHECKING:
    from rich.table import Table

MOST_ROWS = 100
"""A longer table is read by nobody, and takes seconds to draw."""

ORDER = (
    "done",
    "trained",
    "running",
    "queued",
    "interrupted",
    "diverged",
    "failed",
    "stale",
    "new",
)

NEEDS_A_LOOK = (*ENDED_BADLY, "interrupted")

COLUMNS = ("cell", "run", "state", "step", "left", "loss", "R@1", "GPU-h", "jobs", "where")

LEFT_ALIGNED = frozenset({"cell", "run", "state", "where"})

MOST_NAMES = 6

MOST_ERRORS = 20


def status_table(sweep: Sweep, runs: Sequence[Progress], whole: bool = False) -> "Table":
    """Return the table of `status`: a line a run.

    Args:
        sweep: The declaration.
        runs: Its runs.
        whole: Show all; otherwise of very many those that are in work or ended badly.
    """
    from rich import box
    from rich.table import Table

    shown = worth_showing(runs, whole)
    columns = [name for name in COLUMNS if _is_worth_showing(name, shown)]
    title = f"{sweep.name}: {sweep.question}"
    # Names are there to be copied: where a terminal is narrow, only what is last is broken.
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        justify = "left" if name in LEFT_ALIGNED else "right"
        table.add_column(name, justify=justify, no_wrap=name != "where", overflow="fold")
    for run in shown:
        table.add_row(*(_cell(name, run) for name in columns))
    return table


def worth_showing(runs: Sequence[Progress], whole: bool = False) -> Sequence[Progress]:
    """Return the runs that a table of bearable length shows."""
    if whole or len(runs) <= MOST_ROWS:
        return runs
    chosen = [run for run in runs if run.state in (*NEEDS_A_LOOK, *IN_WORK)]
    chosen.sort(key=lambda run: run.state in IN_WORK)
    return chosen[:MOST_ROWS]


def lines(runs: tuple[Progress, ...], whole: bool = False, costs: bool = True) -> list[str]:
    """Return what stands below the table.

    Args:
        runs: The runs.
        whole: As for `status_table`.
        costs: Say what they have cost so far.
    """
    number = f"{len(runs)} run{'s' * (len(runs) != 1)}"
    said = [f"{number}: {counted(runs)}. {gpu_hours(runs) if costs else ''}".strip()]
    left = len(runs) - len(worth_showing(runs, whole))
    if left:
        said.append(f"{left} of them are not shown; --all shows every one.")
    bad = [run for run in runs if run.state in NEEDS_A_LOOK and _has_trouble(run)]
    said += [f"{run.name} {run.state}: {trouble(run.life)}" for run in bad[:MOST_ERRORS]]
    if len(bad) > MOST_ERRORS:
        said.append(f"... and {len(bad) - MOST_ERRORS} more; --json has them.")
    for word, (reason, names) in reasons(runs).items():
        said.append(f"{word} ({_some(names)}): {reason}.")
    said += [
        f"{run.name} is stale: {run.former}." for run in runs[:MOST_ROWS] if run.state == "stale"
    ]
    return said


def counted(runs: tuple[Progress, ...]) -> str:
    """Return how many runs are in each state that any is in, in words."""
    found = counts(runs)
    return ", ".join(f"{found[state]} {state}" for state in ORDER if found[state]) or "none"


def gpu_hours(runs: Sequence[Progress]) -> str:
    """Return the GPU-hours of some runs, in words; empty where none ran on a GPU."""
    hours, wasted = sum(run.gpu_hours for run in runs), sum(run.wasted_gpu_hours for run in runs)
    lost = f", {wasted:,.2g} of them lost" if wasted else ""
    return f"{hours:,.1f} GPU-hours so far{lost}." if hours else ""


def rows(sweep: Sweep, runs: Sequence[Progress]) -> list[dict[str, Any]]:
    """Return all runs as plain JSON types."""
    return [_row(sweep, run) for run in runs]


def _row(sweep: Sweep, run: Progress) -> dict[str, Any]:
    status, held, reason = run.life.status, run.life.current, run.reason
    job = held.job if held is not None else None
    return {
        "sweep": sweep.name,
        "row": run.planned.cell.variant.label,
        "seed": run.planned.cell.seed,
        "run": run.planned.cell.signature,
        "directory": str(run.planned.run.path),
        "state": run.state,
        "cause": _cause(run),
        "step": status.step,
        "total_steps": status.total_steps,
        "saved": status.saved,
        "left_s": run.left_s,
        "loss": status.loss,
        "r1": run.r1,
        "seconds": status.seconds,
        "lost_seconds": round(status.wasted_seconds, 1),
        "gpu_hours": round(run.gpu_hours, 4),
        "lost_gpu_hours": round(run.wasted_gpu_hours, 4),
        "attempt": status.attempt,
        "error": status.error,
        "stage": held.record.stage if held else None,
        "job": held.record.job if held else None,
        "job_state": job.state if job else None,
        "node": job.node if job else "",
        "partition": job.partition if job else "",
        "restarts": sum(known.restarts for known in run.life.known),
        "reason": job.reason if job and reason else "",
        "explanation": str(reason or ""),
        "stale": _former(run),
    }


def _cause(run: Progress) -> str:
    return cause_of(run.life) if run.state in NEEDS_A_LOOK else run.life.cause


def _former(run: Progress) -> dict[str, Any] | None:
    if run.former is None:
        return None
    changed = {one.key: [one.first, one.second] for one in run.former.changed}
    return {"run": run.former.run.name, "changed": changed}


def _cell(name: str, run: Progress) -> str:
    from rich.markup import escape

    status, cell = run.life.status, run.planned.cell
    values = {
        "cell": lambda: escape(run.name),
        "run": lambda: cell.signature,
        "state": lambda: colored(run.state),
        "step": lambda: f"{status.step}/{status.total_steps}" if status.total_steps else "-",
        "left": lambda: "-" if run.state == "done" else clock(run.left_s),
        "loss": lambda: "-" if status.loss is None else f"{status.loss:.3f}",
        "R@1": lambda: "-" if run.r1 is None else f"{100 * run.r1:.1f}",
        "GPU-h": lambda: f"{run.gpu_hours:.2f}" if run.gpu_hours else "-",
        "jobs": lambda: str(status.attempt) if status.attempt else "-",
        "where": lambda: escape(run.where),
    }
    return values[name]()


def _is_worth_showing(name: str, runs: Sequence[Progress]) -> bool:
    """Return whether a column says anything; a terminal of 80 characters has no place to waste."""
    always = name in {"cell", "run", "state", "step"}
    return always or any(_cell(name, run) not in {"", "-"} for run in runs)


def _has_trouble(run: Progress) -> bool:
    # By what is known already: the words may need its log, and there may be thousands of them.
    return bool(run.life.status.error or run.life.cause)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{', '.join(names[:MOST_NAMES])}{more}"
