"""What `tgdp-bench step` prints: a table for each case as soon as it is measured."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tgdp.bench.step import Result
from tgdp.bench.step_profile import Profile
from tgdp.bench.step_rows import HEADINGS, Row, append_csv, table


def show_as_measured(results: Iterable[Result], csv: Path | None) -> None:
    """Print what was measured, case by case.

    Args:
        results: In the order of the cases.
        csv: File that each row is added to at once.

    Raises:
        UserError: The file cannot be written.
    """
    console = Console()
    for _, group in itertools.groupby(results, key=lambda result: result.row.case):
        rows: list[Row] = []
        for result in group:
            rows.append(result.row)
            if csv is not None:
                append_csv(csv, result.row)
            if result.profile is not None:
                _show_profile(result.row, result.profile, console)
        _show_rows(rows, console)


def _show_rows(rows: list[Row], console: Console) -> None:
    first = rows[0]
    # Without lines between the columns it fits into 80 characters.
    shown = Table(box=None, title=f"{first.case}: {first.preset}; {first.device}; {first.torch}")
    for number, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="left" if number in (1, 2) else "right")
    for cells in table(rows):
        shown.add_row(*cells)
    console.print(shown)
    console.print()


def _show_profile(row: Row, profile: Profile, console: Console) -> None:
    title = f"{row.case}, batch {row.batch}, {row.contender}"
    shown = Table("", "ms a step", "share", box=None, title=title)
    for part in (profile.kinds, profile.costliest):
        for name, millis, share in part:
            shown.add_row(name, f"{millis:.2f}", f"{share:.1%}")
        shown.add_row()
    console.print(shown)
    if profile.idle is not None:
        console.print(f"The GPU does nothing for {profile.idle:.1%} of a step.")
