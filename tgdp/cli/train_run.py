"""What `tgdp-train` does: a plan of one run, carried out."""

import os
from pathlib import Path

from rich.console import Console

from tgdp.cli.evaluate_run import retrieval_table
from tgdp.cli.prepare_embedded import ensure_embedded
from tgdp.config import dump
from tgdp.sweep.declare import Sweep, Variant, expand
from tgdp.sweep.job import Job
from tgdp.sweep.launch import FAILED, MENDABLE, STOPPED, launch
from tgdp.sweep.logs import log_path
from tgdp.sweep.machine import share_out
from tgdp.sweep.plan import Plan, PlannedRun, check_writable, make_plan
from tgdp.sweep.resolve import Base, Words, parse_seeds, resolve_base
from tgdp.sweep.stages import WHOLE
from tgdp.sweep.state import read_state
from tgdp.training.ranks import Ranks, find_meeting
from tgdp.training.run_directory import RunDirectory

ONE_RUN = Sweep(
    name="run",
    title="One run",
    question="What does this configuration give?",
    source="",
    variants=(Variant("run"),),
    metrics=(),
)


def show(words: Words, results: Path) -> None:
    """Print the resolved configuration and the name of the run."""
    _, plan = _plan(words, results)
    planned = plan.runs[0]
    console = Console()
    console.print(f"# run {planned.cell.signature}, {planned.state}", highlight=False)
    console.print(dump(planned.cell.config), markup=False, highlight=False, soft_wrap=True)


def train(words: Words, results: Path) -> int:
    """Train, evaluate, print; return the exit code."""
    base, plan = _plan(words, results)
    console, run = Console(), plan.runs[0].run
    check_writable(results)
    for note in base.notes:
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    meeting = find_meeting()
    # Of several ranks the others wait for the first one, in vain if it could not make the data.
    if base.embedded and plan.todo() and (meeting is None or meeting.ranks.is_first):
        ensure_embedded(results)
    if meeting is not None:
        return _train_as_rank(plan, console, meeting.ranks)
    if plan.runs[0].state == "diverged":
        return _ended_badly(plan.runs[0], console)
    outcome = launch(plan, share_out(1), console, stages=WHOLE)
    for entry in outcome.failed:
        console.print(f"Failed: {entry.error}", style="red", markup=False, soft_wrap=True)
        console.print(f"  log: {log_path(run)}", markup=False, soft_wrap=True)
    result = run.result()
    if result is not None:
        console.print(retrieval_table(result))
    _show_profile(console, run, plan)
    console.print(f"Run: {run.path}", markup=False, soft_wrap=True)
    if outcome.stopped:
        console.print("Stopped; the same command again goes on from the last checkpoint.")
    return outcome.exit_code


def _train_as_rank(plan: Plan, console: Console, ranks: Ranks) -> int:
    """Be one of the processes that train a run together; return the exit code."""
    planned = plan.runs[0]
    job = Job(
        str(planned.run.path.resolve()),
        dump(planned.cell.config),
        launcher=os.getppid(),
        settled=("done", "diverged"),
    )
    state = job()
    if state is None:
        if ranks.is_first:
            text = f"Another process works on this run: {planned.run.path}"
            console.print(text, markup=False, soft_wrap=True)
        return 0
    result = planned.run.result()
    if state != "done" or result is None:
        return _ended_badly(planned, console)
    console.print(retrieval_table(result))
    console.print(f"Run: {planned.run.path}", markup=False, soft_wrap=True)
    return 0


def _ended_badly(planned: PlannedRun, console: Console) -> int:
    """Say why a run has no result; return the exit code."""
    status = read_state(planned.run)
    if status.error:
        console.print(f"{status.state}: {status.error}", style="red", markup=False, soft_wrap=True)
    console.print(f"Run: {planned.run.path}", markup=False, soft_wrap=True)
    if status.state in {"interrupted", "trained"} and not status.error:
        return STOPPED
    return MENDABLE if status.mendable else FAILED


def _show_profile(console: Console, run: RunDirectory, plan: Plan) -> None:
    if not plan.runs[0].cell.config.runtime.profile:
        return
    folder = run.log / "profile"
    if (folder / "operations.txt").exists():
        table = (folder / "operations.txt").read_text(encoding="utf-8").rstrip()
        console.print(table, markup=False, highlight=False, soft_wrap=True)
        console.print(f"Trace: {folder / 'trace.json.gz'}", markup=False, soft_wrap=True)
    else:
        console.print("No trace: the run took too few steps in this attempt.")


def _plan(words: Words, results: Path) -> tuple[Base, Plan]:
    base = resolve_base(ONE_RUN, words, results)
    cells = expand(ONE_RUN, base.config, parse_seeds(words.seeds))
    return base, make_plan(ONE_RUN, cells, results, retry=frozenset({"failed"}))
