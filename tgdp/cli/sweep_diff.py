"""`tgdp-sweep diff`: in what two runs differ."""

import json
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tgdp.config import flatten, science
from tgdp.presets import tiny
from tgdp.sweep.cells import find_one
from tgdp.sweep.differences import Difference, between, flat, numbers_of, stored


def diff(results: Path, first: str, second: str, as_json: bool) -> None:
    """Show the keys and the measured numbers in which two runs differ.

    Args:
        results: The results folder.
        first: A run, in any of its names.
        second: Another one.
        as_json: As a JSON object.

    Raises:
        UserError: There is no such run, or it was never started.
    """
    runs = [find_one(results, cell).run for cell in (first, second)]
    keys = between(*map(stored, runs))
    numbers = between(*map(numbers_of, runs))
    if as_json:
        data = {
            "runs": [run.name for run in runs],
            "config": _data(keys),
            "results": _data(numbers),
        }
        typer.echo(json.dumps(data, indent=1, default=str))
        return
    names = [run.name for run in runs]
    console = Console()
    if not keys and not numbers:
        console.print("Equal, in configuration and results.")
        return
    if keys:
        console.print(_table("Configuration", names, keys))
    if numbers:
        console.print(_table("Results", names, numbers))


def _table(title: str, names: list[str], found: tuple[Difference, ...]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right", min_width=12)
    table.add_column("difference", justify="right")
    counts = _counting_keys()
    for one in found:
        style = "" if title == "Results" or one.key in counts else "dim"
        row = (one.key, _shown(one.first), _shown(one.second), _difference(one))
        table.add_row(*(Text(text, style) for text in row))
    return table


def _counting_keys() -> set[str]:
    """Return the keys that can change a number; the others only say where and how fast."""
    config = tiny()
    return flat(science(config)).keys() & flatten(config).keys()


def _difference(one: Difference) -> str:
    both = (one.first, one.second)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in both):
        return f"{one.second - one.first:+.4g}"
    return ""


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _data(found: tuple[Difference, ...]) -> dict[str, list[object]]:
    return {one.key: [one.first, one.second] for one in found}
