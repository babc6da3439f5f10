"""The end of a sweep: sync, tables, figure, and the table for the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tgdp.report import console, produce
from tgdp.sweep import track
from tgdp.sweep.declare import Cell, Sweep


def finish(
    results: Path,
    sweep: Sweep,
    cells: Sequence[Cell],
    base_words: Mapping[str, str] | str = "",
) -> RenderableType:
    """Sync a sweep, write its tables and its figure, and return the table for the terminal.

    Args:
        results: The results folder.
        sweep: The declaration.
        cells: Its runs, from `expand`.
        base_words: What was asked for: `preset`, `data` and `set`; or a sentence.

    Raises:
        UserError: The tracking store cannot be reached or a file cannot be written. The runs are
            safe in their folders; `tgdp-report tables` does the same later.
    """
    dataset = cells[0].config.data.name
    told = base_words if isinstance(base_words, str) else produce.in_words(base_words, dataset)
    base = track.sync_sweep(results, sweep, cells, told).base
    made = produce.write(results, [sweep])
    mine = [one for one in made if one.table.summary.base == base]
    files = [path for one in mine for path in (*one.tables, *one.figures)]
    listed = Text("\n".join(f"  {path}" for path in files), style="dim")
    return Group(*(console.render(one.table) for one in mine), listed)
