"""`tgdp-report`: tables, figures, pictures, the dashboard, from the runs in the results folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli import classes, pictures
from tgdp.cli.next_command import in_results

if TYPE_CHECKING:
    from tgdp.report.produce import Made
    from tgdp.sweep.declare import Sweep
    from tgdp.sweep.track import SyncReport

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Tables, figures, pictures and charts of the runs in the results folder.

    Example: [bold]tgdp-report tables masking[/bold]""",
)

Results = Annotated[
    Path, typer.Option(envvar="TGDP_RESULTS", help="Results folder.", metavar="DIR")
]
Sweeps = Annotated[
    list[str] | None, typer.Argument(help="Sweeps; all of them if none is named.", metavar="SWEEP")
]
RESULTS = Path("results")


@app.command()
def tables(
    sweeps: Sweeps = None,
    preset: Annotated[
        str | None, typer.Option(help="Base of the table, as for tgdp-sweep.", metavar="NAME")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Prepared data, as for tgdp-sweep.", metavar="DIR")
    ] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", help="Changed keys.", metavar="KEY=VALUE")
    ] = None,
    sanity: Annotated[
        bool,
        typer.Option(
            "--sanity",
            help="Rows below: chance, one vector for all, an untrained encoder, the true causes.",
        ),
    ] = False,
    results: Results = RESULTS,
) -> None:
    """Write tables as markdown, csv and LaTeX, with the published value beside ours.

    Without --preset, --data and --set: every table that was ever asked for, the newest under the
    plain name of its sweep. Probes that its runs have stand behind the columns of a sweep.

    Example: [bold]tgdp-report tables masking --preset tiny[/bold]
    """
    from rich.console import Console

    from tgdp.report import console, produce

    out = Console()
    wanted = produce.every(sweeps or [])
    if preset or data or assignments:
        produce.ask(results, wanted, preset, data, tuple(assignments or ()))
    else:
        _sync(results)
    made = _with_sanity(results, wanted) if sanity else produce.write(results, wanted)
    for one in made:
        out.print(console.Fitted(one.table))
        _list([*one.tables, *one.figures])
    _next_of(made, results)


def _with_sanity(results: Path, wanted: "list[Sweep]") -> "list[Made]":
    from functools import partial

    from rich.console import Console

    from tgdp.report import produce, sanity

    with Console(stderr=True).status("Writing the tables ...") as status:
        warn = partial(typer.echo, err=True)
        sane = partial(sanity.rows, results, progress=status.update, warn=warn)
        return produce.write(results, wanted, sane)


@app.command()
def figures(sweeps: Sweeps = None, results: Results = RESULTS) -> None:
    """Draw the figures as PNG and PDF.

    Example: [bold]tgdp-report figures masking[/bold]
    """
    from tgdp.report import produce

    _sync(results)
    made = produce.write(results, produce.every(sweeps or []))
    _list([path for one in made for path in one.figures])
    _next_of(made, results)


app.command()(pictures.reconstructions)
app.command()(pictures.priorities)
app.command()(pictures.gallery)
app.command()(classes.classes)


@app.command()
def sync(results: Results = RESULTS) -> None:
    """Bring the run folders into the tracking store; doing it again changes nothing.

    The store is results/mlflow.db, or what MLFLOW_TRACKING_URI names.

    Example: [bold]MLFLOW_TRACKING_URI=http://127.0.0.1:5000 tgdp-report sync[/bold]
    """
    _say(str(_sync(results)))
    _next(results, "tgdp-report tables", "tgdp-report dashboard")


@app.command()
def dashboard(
    results: Results = RESULTS,
    port: Annotated[
        int | None, typer.Option(help="Port; the next free one from 5000 if not given.")
    ] = None,
    no_sync: Annotated[
        bool, typer.Option("--no-sync", help="Show the store as it is, without importing.")
    ] = False,
) -> None:
    """Open the MLflow UI on the charts; Ctrl-C ends it.

    Example: [bold]tgdp-report dashboard --port 5001[/bold]
    """
    from tgdp.report import dashboard as board
    from tgdp.report import produce

    server = board.external_server(results)
    chosen = 0 if server else board.choose_port(port)
    if not no_sync:
        _sync(results)
        produce.write(results, produce.asked(results))
    if server:
        _show(results, server)
        return
    _serve(results, chosen)


def _serve(results: Path, port: int) -> None:
    import signal
    from contextlib import ExitStack

    from rich.console import Console

    from tgdp.report import dashboard as board

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with ExitStack() as stack:
        with Console(stderr=True).status("Starting the dashboard (15 to 70 seconds) ..."):
            server = stack.enter_context(board.serving(results, port))
        _show(results, f"http://{board.HOST}:{port}")
        _say("Ctrl-C ends it.")
        try:
            server.wait()
        except KeyboardInterrupt:
            _say("Stopped.")


def _show(results: Path, root: str) -> None:
    from tgdp.report import dashboard as board

    found = board.links(results, root)
    for title, address in found.charts:
        _say(f"Charts, {title}:\n  {address}")
    _say(f"List of runs:\n  {found.runs}")
    if found.table:
        _say(f"Newest table:\n  {found.table}")


def _sync(results: Path) -> "SyncReport":
    from rich.console import Console

    from tgdp.sweep import track

    with Console(stderr=True).status("Reading the run folders ...") as status:
        report = track.sync(results, progress=lambda name: status.update(f"Importing {name} ..."))
    for line in report.skipped:
        typer.echo(f"Skipped: {line}", err=True)
    return report


def _say(text: str) -> None:
    # Not through rich: it would break a long address in two.
    typer.echo(text)


def _list(files: list[Path]) -> None:
    for file in files:
        _say(f"  {file}")


def _next_of(made: "list[Made]", results: Path) -> None:
    if made:
        _next(results, "tgdp-report dashboard")
    else:
        _say("No sweep has been started in this results folder yet.")
        _next(results, "tgdp-sweep masking")


def _next(results: Path, *commands: str) -> None:
    _say("Next: " + "   or: ".join(in_results(command, results) for command in commands))


def main() -> None:
    """Run the command line."""
    from tgdp.cli.console import run

    run(app)
