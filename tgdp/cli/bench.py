"""`tgdp-bench`: how fast things are, on this machine."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli.console import run

if TYPE_CHECKING:
    from tgdp.bench.timing import Timing

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Measure speed on this machine: the median of several runs, with the spread.

    Example: [bold]tgdp-bench prepare --workers 2[/bold]""",
)

Runs = Annotated[int, typer.Option(min=1, help="Runs that count, after one that does not.")]


@app.command()
def start(runs: Runs = 5) -> None:
    """Time the commands that must answer at once: help, list, plan, status.

    Run it from the checkout, or from where the sweep files are.
    """
    from tgdp.bench.start import time_starts

    _show([timing.row() for timing in time_starts(runs)])


@app.command()
def prepare(
    clips: Annotated[int, typer.Option(min=1, help="10-second 640x360 clips to prepare.")] = 16,
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode.")] = 1,
    runs: Runs = 3,
) -> None:
    """Time `tgdp-data prepare` on clips of the size of AudioSet's.

    The clips are made first, in a temporary folder, which is not counted.
    """
    from tgdp.bench.prepare import time_prepare

    with tempfile.TemporaryDirectory() as folder:
        timing = time_prepare(Path(folder), clips, workers, runs)
    _show([timing.row(clips, "clips/s"), _per_core(timing, clips, workers)])


def _per_core(timing: "Timing", clips: int, workers: int) -> tuple[str, str, str, str]:
    return "a worker", "", "", f"{clips / timing.median / workers:.1f} clips/s"


def _show(rows: list[tuple[str, str, str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "median s", "spread s", "rate")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def main() -> None:
    """Run `tgdp-bench`."""
    run(app)


if __name__ == "__main__":
    main()
