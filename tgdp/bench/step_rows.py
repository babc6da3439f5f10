"""What is said of timed steps: a row for each case, batch size and contender."""

import csv
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tgdp.errors import UserError

OUT_OF_MEMORY = "out of memory"
DASH = "-"

HEADINGS = ("batch", "", "type", "ms", "quartiles", "pairs/s", "MFU", "GiB", "x plain")
"""Of a table of one case. Milliseconds are those of a step, GiB the peak."""


@dataclass(frozen=True)
class Row:
    """The steps of one contender. A figure is None where it could not be had.

    Attributes:
        date: Day of the measurement.
        device: Name of the card, or the CPU and its threads.
        torch: Version.
        preset: With the keys that were changed.
        case: Which way of training.
        contender: Who took the steps.
        batch: Pairs a step.
        precision: Of the products.
        median_ms: Milliseconds a step.
        q25_ms: A quarter of the steps took no longer.
        q75_ms: Three quarters.
        samples_per_s: Pairs a second, at the median.
        mfu: Share of the device's peak that the operations of `tgdp.model.operations` would be;
            also for plain, which does more.
        peak_gib: The most GPU memory held at once: weights, optimiser, gradients, inputs, a step.
        operations_per_sample: As ours does them, forwards and backwards.
        note: Why there are no figures.
    """

    date: str
    device: str
    torch: str
    preset: str
    case: str
    contender: str
    batch: int
    precision: str
    median_ms: float | None
    q25_ms: float | None
    q75_ms: float | None
    samples_per_s: float | None
    mfu: float | None
    peak_gib: float | None
    operations_per_sample: int
    note: str = ""

    def cells(self, plain: "Row | None") -> tuple[str, ...]:
        """Return what a table shows, in the order of `HEADINGS`.

        Args:
            plain: The row of plain for the same case and batch.
        """
        digits = 0 if self.median_ms is None or self.median_ms >= 1000 else 1
        quartiles = DASH
        if self.q25_ms is not None and self.q75_ms is not None:
            quartiles = f"{self.q25_ms:.{digits}f}-{self.q75_ms:.{digits}f}"
        ratio = None
        if plain is not None and plain.median_ms is not None and self.median_ms is not None:
            ratio = plain.median_ms / self.median_ms
        return (
            str(self.batch),
            self.contender,
            self.precision,
            self.note or _text(self.median_ms, f".{digits}f"),
            quartiles,
            _text(self.samples_per_s, ".1f"),
            _text(self.mfu, ".1%"),
            _text(self.peak_gib, ".2f"),
            _text(ratio, ".2f"),
        )


def name_of_ours(*, compiled: bool, graphed: bool) -> str:
    """Return what rows call ours, by the ways in which it is computed."""
    return f"ours{' compiled' * compiled}{', graph' * graphed}"


def quartiles(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(seconds) == 1:
        return seconds[0], seconds[0], seconds[0]
    low, middle, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return low, middle, high


def table(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """Return the cells of all rows, each beside the plain one of its case and batch."""
    kept = list(rows)
    plain = {(row.case, row.batch): row for row in kept if row.contender == "plain"}
    return [row.cells(plain.get((row.case, row.batch))) for row in kept]


def append_csv(path: Path, row: Row) -> None:
    """Add a row to a file, which gets its headings first where it is new.

    Raises:
        UserError: The file cannot be written, or holds other columns.
    """
    names = [field.name for field in fields(Row)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", encoding="utf-8", newline="") as file:
            file.seek(0)
            found = next(csv.reader(file), None)
            if found not in (None, names):
                raise UserError(f"{path}: its columns are not {','.join(names)}; name another file")
            writer = csv.writer(file, lineterminator="\n")
            if found is None:
                writer.writerow(names)
            writer.writerow([_csv_cell(getattr(row, name)) for name in names])
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _csv_cell(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _text(value: float | None, form: str) -> str:
    return DASH if value is None else format(value, form)
