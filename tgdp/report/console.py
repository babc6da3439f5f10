"""The table at the end of a sweep, as wide as the terminal allows."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table as RichTable

from tgdp.report import words
from tgdp.report.probes import MODALITIES, ProbeMetric
from tgdp.report.table import Row, Table

AROUND = 22
"""Columns that seeds, the published value of retrieval and the frame take together."""

BETWEEN = 2
"""Columns from one column of the table to the next."""

THEIRS = "published"


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
    """Return the table for the terminal: ours, seeds, published values of the first columns.

    Args:
        table: What to show.
        width: Columns of the terminal.
    """
    shown = _shown(table, width)
    published = _published(table, shown)
    made = RichTable(
        title=escape(f"{table.sweep.title}: {table.summary.words}"),
        caption=escape("\n".join([*_caption(table, shown), *words.problems(table)])),
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    made.add_column("\n" + words.row_head(table).rpartition(" ")[2], no_wrap=True)
    for column in shown:
        made.add_column(_head(table, column), justify="right", no_wrap=True)
    made.add_column("\nseeds", justify="right")
    for column in published:
        made.add_column(f"{THEIRS}\n{_head_of_published(table, column)}", justify="right")
    for row in table.rows:
        made.add_row(*_row(table, row, shown, published))
    made.add_section()
    for row in table.sanity:
        made.add_row(*_sanity(row, shown, published), style="dim")
    return made


def _shown(table: Table, width: int) -> list[int]:
    """Return the columns that fit: the first of each block, then the next of each, and so on."""
    room = width - AROUND - max(len(row.label) for row in (*table.rows, *table.sanity))
    first, *later = _levels(table)
    shown: list[int] = []
    for column in first:
        if _width(table, column) <= room or not shown:
            shown.append(column)
            room -= _width(table, column)
    for level in later:
        needed = sum(_width(table, column) for column in level)
        if needed <= room:
            shown += level
            room -= needed
    return sorted(shown)


def _levels(table: Table) -> list[list[int]]:
    """Return the columns in the order of their weight; those of a level are shown together."""
    found = [list(block.columns) for block in words.blocks(table)]
    probes = [isinstance(table.sweep.metrics[columns[0]], ProbeMetric) for columns in found]
    levels = [[columns[0] for columns in found]]
    for place in range(1, max(map(len, found))):
        for kind in (False, True):
            blocks = [c for c, is_probe in zip(found, probes, strict=True) if is_probe == kind]
            levels.append([columns[place] for columns in blocks if place < len(columns)])
    return levels


def _width(table: Table, column: int) -> int:
    cells = [words.ours(row.entries[column]) for row in (*table.rows, *table.sanity)]
    widest = max(map(len, [*_head(table, column).splitlines(), *cells]))
    theirs = isinstance(table.sweep.metrics[column], ProbeMetric) and _published(table, [column])
    return BETWEEN + widest + (BETWEEN + len(THEIRS) if theirs else 0)


def _published(table: Table, shown: list[int]) -> list[int]:
    """Return the columns whose published values are shown: the first of retrieval, and probes."""
    known = [c for c in shown if any(row.entries[c].published for row in table.rows)]
    probes = [c for c in known if isinstance(table.sweep.metrics[c], ProbeMetric)]
    return [*[c for c in known if c not in probes][:1], *probes]


def _head(table: Table, column: int) -> str:
    metric = table.sweep.metrics[column]
    if not isinstance(metric, ProbeMetric):
        return metric.title.replace(" ", "\n", 1)
    words_between = metric.title.rpartition(f" {metric.kind} ")[0].removeprefix(metric.protocol)
    second = f"{words_between} {metric.modality} {metric.kind}".strip()
    return f"{metric.protocol.removeprefix('probe-')}\n{second}"


def _head_of_published(table: Table, column: int) -> str:
    metric = table.sweep.metrics[column]
    if isinstance(metric, ProbeMetric):
        return f"{metric.modality} {metric.kind}"
    return metric.title


def _caption(table: Table, shown: list[int]) -> list[str]:
    # The files say the rest.
    lines = [line for line in words.caption(table) if not line.startswith("Mean ±")]
    metrics = [table.sweep.metrics[column] for column in shown]
    found = {metric.modality for metric in metrics if isinstance(metric, ProbeMetric)}
    if found:
        told = ", ".join(f"{m} {word}" for m, word in MODALITIES.items() if m in found)
        lines.append(f"Of the probes: {told}.")
    left_out = {block.heading for block in words.blocks(table)} - {
        metric.title.rpartition(" ")[0] for metric in metrics
    }
    if left_out:
        lines.append(f"In the files, too wide for here: {', '.join(sorted(left_out))}.")
    return lines


def _row(table: Table, row: Row, shown: list[int], published: list[int]) -> list[str]:
    cells = [_cell(table, row, column) for column in shown]
    # Their confidence is in the files; here it would take a line more.
    theirs = [words.theirs(row.entries[column]).partition(" (")[0] for column in published]
    return [escape(row.label), *cells, f"{row.done}/{row.wanted}", *theirs]


def _sanity(row: Row, shown: list[int], published: list[int]) -> list[str]:
    cells = [words.plain(row.entries[column]) for column in shown]
    # A row that depends on no seed has none in any column.
    seeds = max(len(entry.seeds) for entry in row.entries)
    return [escape(row.label), *cells, str(seeds or words.DASH), *[""] * len(published)]


def _cell(table: Table, row: Row, column: int) -> str:
    text = words.ours(row.entries[column])
    return f"[bold]{text}[/bold]" if words.is_best(table, row, column) else text
