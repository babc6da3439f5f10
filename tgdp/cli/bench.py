"""`tgdp-bench`: how fast things are on this machine, and how near to the released model."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli.console import run

if TYPE_CHECKING:
    from tgdp.bench.parity.report import Report
    from tgdp.bench.timing import Timing

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Measure this machine's speed (the median of several runs, with the spread), or how far
    ours is from the released model's figures.

    Examples: [bold]tgdp-bench prepare --workers 2[/bold],
    [bold]tgdp-bench step --preset paper --batch 64,128 --against plain[/bold],
    [bold]tgdp-bench parity tests/parity/figures.npz[/bold]""",
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
def sweep(
    cells: Annotated[int, typer.Option(min=10, help="Runs of the sweep.")] = 10_000,
    runs: Runs = 3,
) -> None:
    """Time `plan` and `status` over very many runs, which are made first and not counted."""
    from tgdp.cli.bench_sweep import time_many

    with tempfile.TemporaryDirectory() as folder:
        _show(time_many(Path(folder), cells, runs))


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


@app.command()
def step(
    preset: Annotated[str, typer.Option(help="tiny, small, paper or an ancestor.")] = "tiny",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    batch: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="Pairs a step; the preset's if not given.")
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="single, dual or teacher; repeatable; all if not given."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="plain", help="Time the released way of working, too.")
    ] = None,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Time ours with torch.compile, too.")
    ] = False,
    graphed: Annotated[
        bool, typer.Option("--graph", help="Time ours as a CUDA graph, too; compiled as well.")
    ] = False,
    steps: Annotated[int, typer.Option(min=1, help="Steps that count, of each.")] = 10,
    warmup: Annotated[
        int | None, typer.Option(min=0, help="Steps before; 3 if not given, compiled 5.")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads.")] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Append the rows to this file.")
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also print where the time of a step goes.")
    ] = False,
) -> None:
    """Time training steps on made-up inputs: single pass, dual pass, dual pass with a teacher."""
    # Read when torch loads: its profiler otherwise notes its own starts and ends on stderr.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from tgdp.bench.step import Request, time_steps
    from tgdp.bench.step_cases import CASES, parse_against, parse_batches
    from tgdp.cli.bench_step import show_as_measured

    request = Request(
        preset=preset,
        assignments=tuple(assignments or ()),
        device=device,
        batches=parse_batches(batch),
        cases=tuple(case or CASES),
        plain=parse_against(against),
        compiled=compiled,
        graphed=graphed,
        steps=steps,
        warmup=warmup,
        threads=threads,
        profiles=profile,
    )
    show_as_measured(time_steps(request), csv)


@app.command()
def parity(
    figures: Annotated[
        Path, typer.Argument(metavar="FILE.npz", help="Weights, inputs and outputs, with sizes.")
    ],
    rtol: Annotated[
        float, typer.Option(min=0, help="Relative difference above which a check fails.")
    ] = 1e-4,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as docs/upstream.md holds it.")
    ] = False,
) -> None:
    """Hold ours against figures of the released model; exit code 1 where they differ.

    The sizes are read from the file, so that it may come from a model of any size.
    """
    # Read when torch loads. The figures were computed with MKL's portable Fourier transform, and
    # another one rounds quiet bins of the spectrogram differently, by up to 6e-3.
    os.environ.setdefault("MKL_CBWR", "COMPATIBLE")
    from tgdp.bench.parity.markdown import as_markdown
    from tgdp.bench.parity.report import compare

    report = compare(figures, rtol)
    if markdown:
        typer.echo(as_markdown(report))
    else:
        _show_parity(report)
    if report.failed:
        raise typer.Exit(1)


@app.command("eval")
def evaluate(
    clips: Annotated[int, typer.Option(min=1, help="Clips in memory, ranked every way.")] = 1545,
    large: Annotated[
        int, typer.Option(min=0, help="Clips in files, ranked once; 0: none.")
    ] = 20_000,
    frames: Annotated[int, typer.Option(min=1, help="Frames a clip.")] = 16,
    width: Annotated[int, typer.Option(min=1, help="Numbers a frame.")] = 768,
    queries: Annotated[int, typer.Option(min=1, help="Queries the loop is timed on.")] = 4,
    device: Annotated[str, typer.Option(help="Of our products: cpu, cuda or cuda:N.")] = "cpu",
    runs: Runs = 3,
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs hold the table.")] = False,
) -> None:
    """Time retrieval on made-up features, beside the released way and its ancestors' loop."""
    from tgdp.bench.evaluate import Request
    from tgdp.cli.bench_eval import show_retrieval

    request = Request(clips, large, frames, width, queries, runs, device)
    show_retrieval(request, markdown=markdown)


@app.command()
def departures(
    figures: Annotated[
        Path, typer.Argument(metavar="FILE.npz", help="Weights and inputs of the released model.")
    ],
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table as docs/upstream.md holds it.")
    ] = False,
) -> None:
    """Measure what the released code's defects do, and what ours does instead."""
    from rich.console import Console
    from rich.table import Table

    from tgdp.bench.departures import HEADINGS, measure
    from tgdp.bench.parity.figures import read_figures

    rows = list(measure(read_figures(figures)))
    if markdown:
        for cells in (HEADINGS, ("---",) * len(HEADINGS), *rows):
            typer.echo(f"| {' | '.join(cells)} |")
        return
    table = Table(*HEADINGS, show_lines=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _show_parity(report: "Report") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tgdp.bench.parity.report import HEADINGS

    table = Table()
    for number, heading in enumerate(HEADINGS):
        # The names of parameters are long, and must be whole in a narrow terminal too.
        table.add_column(heading, overflow="fold" if number == 0 else "ellipsis")
    for row in report.rows:
        bad = row in report.failed
        table.add_row(*(Text(cell, "bold red" if bad else "") for cell in row.cells(report.rtol)))
    console = Console()
    console.print(table)
    for line in report.lines:
        console.print(line, soft_wrap=True, markup=False, highlight=False)


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
