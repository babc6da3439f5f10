"""Tables, figures and the dashboard, made from what the tracking store holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tgdp.sweep.declare import Cell, Sweep


def finish(
    results: Path, sweep: "Sweep", cells: "Sequence[Cell]", base_words: str = ""
) -> "RenderableType":
    """Sync a sweep, write its tables and its figure, and return the table for the terminal.

    Args:
        results: The results folder.
        sweep: The declaration.
        cells: Its runs, from `expand`.
        base_words: The base in words for people, for example `tiny on embedded`.

    Raises:
        UserError: The tracking store cannot be reached or a file cannot be written. The runs are
            safe in their folders; `tgdp-report tables` does the same later.
    """
    # Imported here: pandas, matplotlib and mlflow take seconds.
    from tgdp.report.sweep_end import finish as end

    return end(results, sweep, cells, base_words)
