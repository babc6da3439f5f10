"""What `tgdp-bench eval` prints: the rows of one table."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import torch
import typer
from rich.console import Console
from rich.table import Table

from tgdp.bench.evaluate import HEADINGS, Request, Row, time_retrieval


def show_retrieval(request: Request, *, markdown: bool) -> None:
    """Time retrieval and print the table.

    Args:
        request: What is timed.
        markdown: Print it as docs/evaluation.md holds it, each part as soon as it is measured.

    Raises:
        UserError: The request asks for more queries than clips.
    """
    title = (
        f"{request.frames} frames x {request.width}; {request.device},"
        f" {torch.get_num_threads()} threads; torch {torch.__version__}; both directions"
    )
    with tempfile.TemporaryDirectory() as folder:
        rows = time_retrieval(request, Path(folder))
        if markdown:
            _echo(rows, title)
        else:
            _show(rows, title)


def _echo(rows: Iterable[Row], title: str) -> None:
    typer.echo(f"{title}\n")
    for cells in (HEADINGS, ("---",) * len(HEADINGS)):
        typer.echo(f"| {' | '.join(cells)} |")
    for row in rows:
        typer.echo(f"| {' | '.join(row.cells())} |")


def _show(rows: Iterable[Row], title: str) -> None:
    # Without lines between the columns it fits into 80 characters.
    table = Table(box=None, title=title)
    for number, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if number == 1 else "right")
    for row in rows:
        table.add_row(*row.cells())
    Console().print(table)
