"""The words of the commands that look after a sweep: logs, cancel, retry, diff, clean, sync."""

from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli.sweep_options import RESULTS, AsJson, Results

if TYPE_CHECKING:
    from tgdp.sweep.retry import Kind

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Cell = Annotated[
    str, typer.Argument(help="A signature or its beginning, ROW@SEED, or SWEEP/ROW@SEED.")
]


def add_to(app: typer.Typer, panel: str) -> None:
    """Add the commands to a command line.

    Args:
        app: The command line.
        panel: Under which head `--help` shows them.
    """
    for command in (logs, cancel, retry, diff, clean, sync):
        app.command(command.__name__, rich_help_panel=panel)(command)


def logs(
    cell: Cell,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it prints.")] = False,
    rank: Annotated[int, typer.Option(min=0, help="Whose, of several processes.")] = 0,
    attempt: Annotated[
        int | None,
        typer.Option(min=1, help="Which job, counted from 1.", show_default="newest"),
    ] = None,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Show what a job of a run printed.

    Example: [bold]tgdp-sweep logs 0.50@0 -f[/bold]
    """
    from tgdp.cli.sweep_logs import show

    show(results, cell, follow, rank, attempt, as_json)


def cancel(
    pattern: Annotated[
        str, typer.Argument(help="As for logs, or a sweep, or a pattern: 'masking/0.5*'.")
    ],
    yes: Yes = False,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Stop runs that wait or run, here or on a cluster; asks first.

    Example: [bold]tgdp-sweep cancel 'masking/*@1'[/bold]
    """
    from tgdp.cli.sweep_cancel import cancel

    cancel(results, pattern, yes, as_json)


def retry(
    pattern: Annotated[
        str | None, typer.Argument(help="Only these, as for cancel.", show_default="all")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed.")] = False,
    timeout: Annotated[
        bool, typer.Option("--timeout", help="Those whose time was over before their work.")
    ] = False,
    oom: Annotated[bool, typer.Option("--oom", help="Those that ran out of memory.")] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Anew; what is there is moved aside.")
    ] = False,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Let the next launch take up runs that ended badly; starts nothing itself.

    Example: [bold]tgdp-sweep retry masking --timeout --oom[/bold]
    """
    from tgdp.cli.sweep_retry import retry

    asked: dict[Kind, bool] = {"failed": failed, "timeout": timeout, "oom": oom}
    kinds: tuple[Kind, ...] = tuple(kind for kind in asked if asked[kind])
    retry(results, pattern, kinds, from_scratch, as_json)


def diff(first: Cell, second: Cell, as_json: AsJson = False, results: Results = RESULTS) -> None:
    """Show in which keys and results two runs differ.

    Example: [bold]tgdp-sweep diff 0.50@0 0.75@0[/bold]
    """
    from tgdp.cli.sweep_diff import diff

    diff(results, first, second, as_json)


def clean(
    is_deleting: Annotated[
        bool, typer.Option("--delete", help="Delete what is listed, after asking.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """List what nothing needs any more: runs of no sweep, half-written files, old snapshots.

    A finished run is never among them.
    """
    from tgdp.cli.sweep_clean import clean

    clean(results, is_deleting, yes, as_json)


def sync(
    again: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="Pause of --watch.")
    ] = 60.0,
    as_json: AsJson = False,
    results: Results = RESULTS,
) -> None:
    """Bring the run directories into MLflow; doing it again changes nothing."""
    from tgdp.cli.sweep_sync import sync

    sync(results, again, every, as_json)
