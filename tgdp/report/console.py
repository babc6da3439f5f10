"""The table at the end of a sweep, as wide as the terminal allows."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table as RichTable

from tgdp.report import words
from tgdp.report.table import Row, Table

AROUND = 22
"""Columns that seeds, published value and the frame take together."""


class Fitted:
    """A table that leaves columns out where the terminal is narrow; the files hold all.

    Args:
        table: What to show.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield render(self.table, options.max_width)


def render(table: Table, width: int = 100) -> RichTable:
    """Return the table for the terminal: ours, seeds, and the first published column.

    Args:
        table: What to show.
        width: Columns of the terminal.
    """
    shown = _shown(table, width)
    published = next((c for c in shown if any(r.entries[c].published for r in table.rows)), None)
    made = RichTable(
        title=escape(f"{table.sweep.title}: {table.summary.words}"),
        caption=escape("\n".join([*_caption(table), *words.problems(table)])),
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    made.add_column("\n" + words.row_head(table).rpartition(" ")[2], no_wrap=True)
    for column in shown:
        made.add_column(_head(table, column), justify="right", no_wrap=True)
    made.add_column("\nseeds", justify="right")
    if published is not None:
        made.add_column(f"published\n{table.sweep.metrics[published].title}", justify="right")
    for row in table.rows:
        made.add_row(*_row(table, row, shown, published))
    return made


def _shown(table: Table, width: int) -> list[int]:
    """Return the columns that fit: as many of each block, from its first."""
    found = words.blocks(table)
    label = max(len(row.label) for row in table.rows)
    cell = 1 + max(len(words.ours(entry)) for row in table.rows for entry in row.entries)
    room = max(1, (width - AROUND - label) // cell // len(found))
    return [column for block in found for column in list(block.columns)[:room]]


def _head(table: Table, column: int) -> str:
    return table.sweep.metrics[column].title.replace(" ", "\n", 1)


def _caption(table: Table) -> list[str]:
    lines = words.caption(table)
    # The files say the rest.
    return [line for line in lines if not line.startswith("Mean ±")]


def _row(table: Table, row: Row, shown: list[int], published: int | None) -> list[str]:
    cells = [_cell(table, row, column) for column in shown]
    line = [escape(row.label), *cells, f"{row.done}/{row.wanted}"]
    if published is not None:
        # Its confidence is in the files; here it would take a line more.
        line.append(words.theirs(row.entries[published]).partition(" (")[0])
    return line


def _cell(table: Table, row: Row, column: int) -> str:
    text = words.ours(row.entries[column])
    return f"[bold]{text}[/bold]" if words.is_best(table, row, column) else text
