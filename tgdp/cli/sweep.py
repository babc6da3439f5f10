"""`tgdp-sweep`: run an ablation by its name, see its plan, see how far it is."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tgdp.cli import sweep_life
from tgdp.cli.console import run
from tgdp.cli.sweep_options import (
    RESULTS,
    AsJson,
    Assignments,
    ClusterName,
    Data,
    DryRun,
    Jobs,
    Modality,
    Preset,
    Probes,
    ProfileName,
    Results,
    RetryDiverged,
    RetryFailed,
    Seeds,
    ShowScript,
    Wait,
)
from tgdp.cli.sweep_profiles import list_profiles
from tgdp.cli.sweep_start import Where, start
from tgdp.cli.sweep_tune import tune
from tgdp.errors import UserError, unknown_name
from tgdp.sweep.discover import RESERVED, first_line, load_sweep, sweep_files, sweep_names

if TYPE_CHECKING:
    # Only for types: pydantic and rich take longer to load than `--help` may take to answer.
    from tgdp.sweep.resolve import Words

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
    app.command("tune", rich_help_panel=LOOK_PANEL)(tune)
    app.command("list", rich_help_panel=LOOK_PANEL)(list_sweeps)
    app.command("profiles", rich_help_panel=LOOK_PANEL)(list_profiles)
    app.command("plan", rich_help_panel=LOOK_PANEL)(show_plan)
    app.command("status", rich_help_panel=LOOK_PANEL)(show_status)
    sweep_life.add_to(app, LOOK_PANEL)
    return app


def _command(name: str) -> Callable[..., None]:
    """Return the command of one sweep; its file is not read before it is asked for."""

    def command(
        preset: Preset = "tiny",
        data: Data = None,
        assignments: Assignments = None,
        seeds: Seeds = None,
        cluster: ClusterName = "local",
        profile: ProfileName = None,
        jobs: Jobs = None,
        dry_run: DryRun = False,
        show_script: ShowScript = False,
        wait: Wait = False,
        retry_failed: RetryFailed = False,
        retry_diverged: RetryDiverged = False,
        probe: Probes = None,
        modality: Modality = "av",
        results: Results = RESULTS,
    ) -> None:
        words = _words(preset, data, assignments, seeds)
        where = Where(cluster, jobs, profile, dry_run, show_script, wait)
        again = (retry_failed, retry_diverged)
        start(name, words, results, where, again, (probe, modality))

    return command


def run_file(
    path: Annotated[Path, typer.Argument(help="Python file that sets SWEEP = Sweep(...).")],
    preset: Preset = "tiny",
    data: Data = None,
    assignments: Assignments = None,
    seeds: Seeds = None,
    cluster: ClusterName = "local",
    profile: ProfileName = None,
    jobs: Jobs = None,
    dry_run: DryRun = False,
    show_script: ShowScript = False,
    wait: Wait = False,
    retry_failed: RetryFailed = False,
    retry_diverged: RetryDiverged = False,
    probe: Probes = None,
    modality: Modality = "av",
    results: Results = RESULTS,
) -> None:
    """Run a sweep file of your own."""
    words = _words(preset, data, assignments, seeds)
    where = Where(cluster, jobs, profile, dry_run, show_script, wait)
    start(path, words, results, where, (retry_failed, retry_diverged), (probe, modality))


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
    sweep: Annotated[
        str | None, typer.Argument(help="One sweep; those launched here if left out.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Another base.", show_default="as last launched")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Another base: prepared data.")] = None,
    assignments: Assignments = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="N|A,B,..", help="How many, or which.", show_default="all launched"),
    ] = None,
    as_json: AsJson = False,
    again: Annotated[bool, typer.Option("--watch", help="Until all is settled.")] = False,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Pause of --watch.")] = 15.0,
    whole: Annotated[bool, typer.Option("--all", help="Show every run, however many.")] = False,
    results: Results = RESULTS,
) -> None:
    """Show how the runs of a sweep are: how far, where, or why they wait."""
    from tgdp.cli.sweep_status import as_launched, asked, load_launched, once, watch
    from tgdp.sweep.last_launch import launched
    from tgdp.sweep.resolve import DEFAULT_PRESET

    names = (sweep,) if sweep else sorted(launched(results))
    sweeps = [load_launched(name, results) for name in names]
    if not sweeps:
        typer.echo(
            f"No sweep was launched in {results} yet; `tgdp-sweep list` names them.", err=True
        )
    if preset is None and data is None and not assignments:
        found = [as_launched(one, seeds, results) for one in sweeps]
    else:
        words = _words(preset or DEFAULT_PRESET, data, assignments, seeds)
        found = [asked(one, words, results) for one in sweeps]
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
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Time a few steps of each row first.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option(help="Of --calibrate: on a cluster, not on this machine.")
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Show what a launch would find: states, what is stale and why, GPU-hours, time."""
    from tgdp.cli.sweep_status import asked, show_plan

    if profile is not None and not calibrate:
        raise UserError("--profile: is only for --calibrate")
    one = asked(load_sweep(sweep), _words(preset, data, assignments, seeds), results)
    if not calibrate:
        show_plan(one, results, jobs, as_json)
        return
    from tgdp.cli.sweep_calibrate import Calibration

    calibration = Calibration(results, one.base, jobs, profile)
    at_once = calibration.at_once(len(one.cells))
    show_plan(one, results, at_once, as_json, calibration.measure)


def _words(
    preset: str, data: Path | None, assignments: list[str] | None, seeds: str | None
) -> "Words":
    from tgdp.sweep.resolve import Words

    return Words(preset, data, tuple(assignments or ()), seeds)
