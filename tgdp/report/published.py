"""The published numbers, looked up in `results/published.csv` and typed nowhere."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tgdp.errors import UserError
from tgdp.sweep.declare import Metric, Sweep, Variant

PACKAGE = Path(__file__).resolve().parents[1]

FROZEN = "TG-DP frozen classification"
"""Table of the probes of whole methods, whose rows have their other numbers in tables of their own.
"""


@dataclass(frozen=True)
class Published:
    """One published number.

    Attributes:
        value: The number in the unit of its source; None where the paper has the row, but no
            public text gives the number.
        source: Where it stands.
        confidence: How sure the reading is: high, medium or low.
        note: What to know about it.
    """

    value: float | None
    source: str
    confidence: str
    note: str = ""


class Shelf:
    """Every published number by table, method and metric.

    Args:
        rows: Lines of the file, by column name.
    """

    def __init__(self, rows: Sequence[dict[str, str]]) -> None:
        self._rows: dict[tuple[str, ...], Published] = {}
        for row in rows:
            names = ("table", "method", "dataset", "direction", "metric")
            value = float(row["value"]) if row["value"].strip() else None
            found = Published(value, row["source_url_or_file"], row["confidence"], row["note"])
            self._rows.setdefault(tuple(row[name] for name in names), found)

    def find(self, sweep: Sweep, variant: Variant, metric: Metric) -> Published | None:
        """Return the published number beside one cell, or None where the paper has no such row."""
        if variant.published is None or metric.published is None:
            return None
        table, method = published_row(sweep, variant.published)
        own = self._rows.get((table, method, *metric.published))
        return own or self._rows.get((FROZEN, method, *metric.published))


def published_row(sweep: Sweep, published: str | tuple[str, str]) -> tuple[str, str]:
    """Return table and method of a published row: of the sweep's own table unless it names one."""
    return (sweep.source, published) if isinstance(published, str) else published


def load(results: Path) -> Shelf:
    """Return the published numbers of a results folder, else those that come with the package.

    Raises:
        UserError: The file is not the table it should be.
    """
    places = (
        results / "published.csv",
        PACKAGE.parent / "results" / "published.csv",
        PACKAGE / "bundled" / "published.csv",
    )
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return Shelf(())
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return Shelf(list(csv.DictReader(file)))
    except (KeyError, ValueError) as error:
        raise UserError(f"{path}: not a table of published numbers ({error})") from error
