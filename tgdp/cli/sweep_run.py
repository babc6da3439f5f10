"""What the commands of `tgdp-sweep` do, once the words on the command line are read."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from tgdp.cli.next_command import in_results
from tgdp.cli.prepare_embedded import ensure_embedded
from tgdp.errors import UserError
from tgdp.sweep.backends import Cluster
from tgdp.sweep.declare import Cell, Sweep, expand
from tgdp.sweep.last_launch import LastLaunch, remember
from tgdp.sweep.logs import log_path
from tgdp.sweep.machine import Slots, share_out
from tgdp.sweep.plan import Plan, PlannedRun, check_writable, make_plan
from tgdp.sweep.probes import ProbeWords, ask
from tgdp.sweep.records import note
from tgdp.sweep.resolve import (
    DEFAULT_PRESET,
    EMBEDDED_PLACE,
    Base,
    Words,
    parse_seeds,
    resolve_base,
    without_data,
)
from tgdp.sweep.show import plan_table, summary
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import ENDED_BADLY, State

if TYPE_CHECKING:
    from tgdp.sweep.launch import Outcome
    from tgdp.sweep.show_scaling import OnPaper


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        words: Preset, data, `--set` and seeds.
        results: Results folder.
        retry: States that are tried again, of `failed` and `diverged`.
        cluster: Where jobs run.
        jobs: Runs at once; None for what the machine has.
        probes: What runs are to be measured by beside retrieval.
        file: The file that declares the sweep; None for one that is found by its name.
    """

    words: Words
    results: Path
    retry: frozenset[State] = frozenset()
    cluster: Cluster = "local"
    jobs: int | None = None
    probes: ProbeWords = field(default_factory=ProbeWords)
    file: Path | None = None

    def status(self, sweep: Sweep, options: str = "") -> str:
        """Return how `status` of a sweep is typed next."""
        words = f"tgdp-sweep status {shlex.quote(sweep.name)} {options}".rstrip()
        return in_results(words, self.results)

    def slots(self) -> Slots:
        """Return the jobs at once and the share of each."""
        return share_out(1 if self.cluster == "debug" else self.jobs)


def dry(sweep: Sweep, wanted: Wanted) -> None:
    """Show what a launch would do, or would take if there were data; nothing is written."""
    console = Console()
    if wanted.words.data is None and wanted.words.preset != DEFAULT_PRESET:
        config = without_data(sweep, wanted.words)
        block = _on_paper(expand(sweep, config, parse_seeds(wanted.words.seeds)), wanted)
        if block is not None:
            say(console, ("No data chosen; a plan needs it: --data DIR. As far as sizes say:",))
            console.print(block.table())
            say(console, block.notes)
            return
    base, cells, plan = look_at(sweep, wanted)
    block = None if base.embedded else _on_paper(cells, wanted)
    console.print(plan_table(plan))
    say(console, (*_notes(base, plan, wanted), wanted.slots().describe() + "."))
    if block is not None:
        console.print(block.table())
        say(console, block.notes)


def real(sweep: Sweep, wanted: Wanted, stages: Stages = IN_TWO) -> int:
    """Run what is left of a sweep, then write its tables.

    Args:
        sweep: The declaration.
        wanted: What was asked for.
        stages: What the jobs of a run do.

    Returns:
        The exit code: 0 when every run is done, 1 when one failed (2 if each of those names its own
        mend), 130 when somebody stopped it.
    """
    from tgdp.sweep.launch import FAILED, launch

    base, cells, plan = look_at(sweep, wanted)
    console, slots = Console(), wanted.slots()
    check_writable(wanted.results)
    note_launch(sweep, base, cells, wanted)
    say(console, _notes(base, plan, wanted))
    if plan.todo():
        say(console, (f"Runs in {wanted.results / 'runs'}, {slots.describe()}.",))
        if base.embedded:
            ensure_embedded(wanted.results)
    outcome = launch(plan, slots, console, wanted.cluster, stages)
    failures = _failures(plan, outcome)
    for planned, error in failures:
        say_failed(console, planned, error)
    if outcome.stopped:
        say(console, ("Stopped; what ran has saved. The same command again goes on from there.",))
        return outcome.exit_code
    write_tables(console, sweep, base, cells, wanted)
    return outcome.exit_code or (FAILED if failures else 0)


def look_at(sweep: Sweep, wanted: Wanted) -> tuple[Base, tuple[Cell, ...], Plan]:
    """Return the base of a sweep, its cells and its plan; nothing is written.

    Raises:
        UserError: A word of the command line is not valid, or words contradict each other.
    """
    if wanted.cluster == "debug" and (wanted.jobs or 1) > 1:
        raise UserError(
            f"--jobs {wanted.jobs}: --cluster debug runs one at a time; take --cluster local"
        )
    seeds = parse_seeds(wanted.words.seeds)
    base = resolve_base(sweep, wanted.words, wanted.results)
    cells = expand(sweep, base.config, seeds)
    probes = ask(wanted.probes, base.config.data.name, base.splits)
    return base, cells, make_plan(sweep, cells, wanted.results, wanted.retry, probes)


def note_launch(sweep: Sweep, base: Base, cells: Sequence[Cell], wanted: Wanted) -> None:
    """Write down what is launched, so that its runs are found by name, and by no more than that.

    Raises:
        UserError: It cannot be written.
    """
    note(wanted.results, sweep, cells, wanted.words.describe(base.config.data.name))
    remember(wanted.results, sweep.name, LastLaunch(wanted.words, wanted.file))


def _notes(base: Base, plan: Plan, wanted: Wanted) -> tuple[str, ...]:
    notes = (*base.notes, *summary(plan, wanted.slots().jobs))
    return (*notes, *of_the_embedded(base, plan, wanted.results, "first"))


def of_the_embedded(base: Base, plan: Plan, results: Path, when: str) -> tuple[str, ...]:
    """Return that the embedded benchmark will be made, if it is wanted and not there."""
    folder = results / EMBEDDED_PLACE
    if not base.embedded or not plan.todo() or (folder / "dataset.json").exists():
        return ()
    return (f"The embedded benchmark is made {when}, once, in {folder}.",)


def _on_paper(cells: Sequence[Cell], wanted: Wanted) -> "OnPaper | None":
    # Here, not above: `status`, and the embedded benchmark on a CPU, can do without.
    from tgdp.sweep.show_scaling import on_paper

    return on_paper([cell.config for cell in cells], wanted.words.preset, wanted.results)


def _failures(plan: Plan, outcome: "Outcome") -> list[tuple[PlannedRun, str]]:
    before = [run for run in plan.runs if run.state in ENDED_BADLY and run.state not in plan.retry]
    return [(run, f"{run.state} before: {run.status.error}") for run in before] + [
        (entry.planned, entry.error) for entry in outcome.failed
    ]


def write_tables(
    console: Console, sweep: Sweep, base: Base, cells: tuple[Cell, ...], wanted: Wanted
) -> None:
    """Write the tables of a sweep, if any run of it is done, and show them."""
    if not any(run.state == "done" for run in make_plan(sweep, cells, wanted.results).runs):
        return
    # Here, not above: it brings mlflow, which takes seconds to load.
    from tgdp.report import finish

    words = wanted.words.describe(base.config.data.name)
    try:
        console.print(finish(wanted.results, sweep, cells, words))
    except UserError as error:
        _warn(console, f"The runs are safe, but their tables could not be written: {error}")
        say(console, (f"Next: {in_results('tgdp-report sync', wanted.results)}",))
        return
    say(
        console,
        (
            f"Runs: {wanted.results / 'runs'}. Next:",
            f"  {in_results('tgdp-report tables', wanted.results)}       the tables again, "
            "published values beside ours",
            f"  {in_results('tgdp-report dashboard', wanted.results)}    the curves",
            f"  {wanted.status(sweep)}",
        ),
    )


def say(console: Console, lines: Sequence[str]) -> None:
    """Print lines as they are, however wide the terminal."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _warn(console: Console, text: str) -> None:
    console.print(Text(text, style="yellow"), soft_wrap=True)


def say_failed(console: Console, planned: PlannedRun, error: str) -> None:
    """Print which run failed, why, where to read more and how it is tried again."""
    cell = planned.cell
    text = f"Failed: {cell.variant.label}, seed {cell.seed} ({cell.signature}): {error}"
    console.print(Text(text, style="red"), soft_wrap=True)
    state = read_state(planned.run).state
    # What was cut off, and a probe of a run that is done, is tried again without being asked for.
    again = f"--retry-{state}" if state in ENDED_BADLY else "the same command"
    say(console, (f"  log: {log_path(planned.run)}", f"  again: {again}"))
