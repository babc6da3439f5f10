"""The end of a sweep: sync, tables, figure, and the table for the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tgdp.report import console, produce
from tgdp.sweep import track
from tgdp.sweep.declare import Cell, Sweep


def finish(
    results: Path, sweep: Sweep, cells: Sequence[Cell], base_words: str = ""
) -> RenderableType:
    """Do what `tgdp.report.finish` promises."""
    base = track.sync_sweep(results, sweep, cells, base_words).base
    made = produce.write(results, [sweep])
    mine = [one for one in made if one.table.summary.base == base]
    files = [path for one in mine for path in (*one.tables, *one.figures)]
    listed = Text("\n".join(f"  {path}" for path in files), style="dim")
    return Group(*(console.Fitted(one.table) for one in mine), listed)
