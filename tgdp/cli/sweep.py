"""`tgdp-sweep`: run an ablation by its name, see its plan, see how far it is."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from tgdp.cli.console import run
from tgdp.errors import unknown_name
from tgdp.sweep.discover import RESERVED, first_line, load_sweep, sweep_files, sweep_names

if TYPE_CHECKING:
    # Only for types: pydantic and rich take longer to load than `--help` may take to answer.
    from tgdp.cli.sweep_run import Wanted
    from tgdp.sweep.resolve import Words
    from tgdp.training.run_directory import State

RUN_PANEL, LOOK_PANEL = "Sweeps", "Commands"
HELP = """Run the ablations: a sweep is all rows of a table and all seeds, planned and resumable.

Example: [bold]tgdp-sweep masking --dry-run[/bold]
"""


class SweepGroup(TyperGroup):
    """Answers a name that is no sweep with those that are."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command.

        Raises:
            UserError: There is none of that name.
        """
        command: Any = super().get_command(ctx, cmd_name)
        if command is None:
            raise unknown_name("sweep", cmd_name, (*sweep_names(), *RESERVED))
        return command


Preset = Annotated[str, typer.Option(help="tiny (two CPU cores), small (one GPU) or paper.")]
Data = Annotated[
    Path | None, typer.Option(help="Prepared data folder.", show_default="embedded benchmark")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the base; repeatable."),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="N|A,B,..", help="How many, or which.", show_default="the sweep's own"),
]
Results = Annotated[Path, typer.Option(envvar="TGDP_RESULTS", help="Where all is kept.")]
ClusterName = Annotated[
    Literal["debug", "local"],
    typer.Option(help="debug: in this process, one by one; local: in processes of their own."),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at once.", show_default="one a GPU, else two if cores allow"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan; write nothing.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try failed runs again.")]
RetryDiverged = Annotated[
    bool, typer.Option("--retry-diverged", help="Try runs again that diverged; they do so again.")
]
Probes = Annotated[
    list[str] | None,
    typer.Option(
        "--probe", metavar="KIND", help="Also measure by this probe: linear, attention; repeatable."
    ),
]
Modality = Annotated[
    str, typer.Option(metavar="LIST", help="Of the probes: av, a, v, or several as av,a,v.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

RESULTS = Path("results")


def main() -> None:
    """Run the command line."""
    run(build_app())


def build_app() -> typer.Typer:
    """Return the command line, with one command for every sweep file found from here."""
    app = typer.Typer(
        cls=SweepGroup,
        help=HELP,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        no_args_is_help=True,
    )
    for name, path in sweep_files().items():
        app.command(name, help=first_line(path), rich_help_panel=RUN_PANEL)(_command(name))
    app.command("run", rich_help_panel=LOOK_PANEL)(run_file)
    app.command("list", rich_help_panel=LOOK_PANEL)(list_sweeps)
    app.command("plan", rich_help_panel=LOOK_PANEL)(show_plan)
    app.command("status", rich_help_panel=LOOK_PANEL)(show_status)
    return app


def _command(name: str) -> Callable[..., None]:
    """Return the command of one sweep; its file is not read before it is asked for."""

    def command(
        preset: Preset = "tiny",
        data: Data = None,
        assignments: Assignments = None,
        seeds: Seeds = None,
        cluster: ClusterName = "local",
        jobs: Jobs = None,
        dry_run: DryRun = False,
        retry_failed: RetryFailed = False,
        retry_diverged: RetryDiverged = False,
        probe: Probes = None,
        modality: Modality = "av",
        results: Results = RESULTS,
    ) -> None:
        words = _words(preset, data, assignments, seeds)
        retry = _retry(retry_failed, retry_diverged)
        _run(name, _wanted(words, results, retry, cluster, jobs, (probe, modality)), dry_run)

    return command


def run_file(
    path: Annotated[Path, typer.Argument(help="Python file that sets SWEEP = Sweep(...).")],
    preset: Preset = "tiny",
    data: Data = None,
    assignments: Assignments = None,
    seeds: Seeds = None,
    cluster: ClusterName = "local",
    jobs: Jobs = None,
    dry_run: DryRun = False,
    retry_failed: RetryFailed = False,
    retry_diverged: RetryDiverged = False,
    probe: Probes = None,
    modality: Modality = "av",
    results: Results = RESULTS,
) -> None:
    """Run a sweep file of your own."""
    words = _words(preset, data, assignments, seeds)
    retry = _retry(retry_failed, retry_diverged)
    _run(path, _wanted(words, results, retry, cluster, jobs, (probe, modality)), dry_run)


def list_sweeps() -> None:
    """List the sweeps: what each asks, its rows, the published table it answers to."""
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding

    console = Console(highlight=False)
    for name in sweep_names():
        sweep = load_sweep(name)
        rows = " | ".join(variant.label for variant in sweep.variants)
        console.print(f"[bold cyan]{name}[/]  {escape(sweep.question)}")
        for line in (f"rows: {rows}", f"answers to: {sweep.source or 'nothing published yet'}"):
            console.print(Padding(escape(line), (0, 0, 0, 4)))


def show_status(
    sweep: Annotated[str | None, typer.Argument(help="One sweep; all if left out.")] = None,
    preset: Preset = "tiny",
    data: Data = None,
    assignments: Assignments = None,
    seeds: Seeds = None,
    as_json: AsJson = False,
    again: Annotated[bool, typer.Option("--watch", help="Until all is settled.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Pause of --watch.")] = 15.0,
    whole: Annotated[bool, typer.Option("--all", help="Show every run, however many.")] = False,
    results: Results = RESULTS,
) -> None:
    """Show how the runs of a sweep are: how far, where, or why they wait."""
    from tgdp.cli.sweep_status import asked, once, watch

    names = (sweep,) if sweep else sweep_names()
    words = _words(preset, data, assignments, seeds)
    found = [asked(load_sweep(name), words, results) for name in names]
    if again:
        watch(found, results, every, whole)
    else:
        once(found, results, as_json, whole)


def show_plan(
    sweep: Annotated[str, typer.Argument(help="The sweep.")],
    preset: Preset = "tiny",
    data: Data = None,
    assignments: Assignments = None,
    seeds: Seeds = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Show what a launch would find: states, what is stale and why, GPU-hours, time."""
    from tgdp.cli.sweep_status import asked, show_plan

    one = asked(load_sweep(sweep), _words(preset, data, assignments, seeds), results)
    show_plan(one, results, jobs, as_json)


def _words(
    preset: str, data: Path | None, assignments: list[str] | None, seeds: str | None
) -> "Words":
    from tgdp.sweep.resolve import Words

    return Words(preset, data, tuple(assignments or ()), seeds)


def _retry(failed: bool, diverged: bool) -> "frozenset[State]":
    asked: dict[State, bool] = {"failed": failed, "diverged": diverged}
    return frozenset(state for state, wanted in asked.items() if wanted)


def _wanted(
    words: "Words",
    results: Path,
    retry: "frozenset[State]" = frozenset(),
    cluster: Literal["debug", "local"] = "local",
    jobs: int | None = None,
    probes: tuple[list[str] | None, str] = (None, "av"),
) -> "Wanted":
    from tgdp.cli.sweep_run import Wanted
    from tgdp.sweep.probes import ProbeWords

    kinds, modalities = probes
    wanted = ProbeWords(tuple(kinds or ()), modalities)
    return Wanted(words, results, retry, cluster, jobs, wanted)


def _run(name_or_path: str | Path, wanted: "Wanted", dry_run: bool) -> None:
    from tgdp.cli.sweep_run import dry, real

    sweep = load_sweep(name_or_path)
    if dry_run:
        dry(sweep, wanted)
    else:
        raise typer.Exit(real(sweep, wanted))
