"""What steps were measured to take, and from that what others take."""

import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar, get_args

from tgdp.bench.step_rows import Row, name_of_ours
from tgdp.config import Config
from tgdp.errors import UserError

Number = TypeVar("Number", int, float)

Origin = Literal["measured", "interpolated", "extrapolated"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)
"""From the surest to the least sure."""

FILE = "throughput.csv"
"""Rows of `tgdp-bench step --csv`."""

PACKAGE = Path(__file__).resolve().parents[1]


class StepTime(NamedTuple):
    """Seconds of a step, and how they are known."""

    seconds: float
    origin: Origin


class Line(NamedTuple):
    """A step's seconds for each operation of a pair, over the batch: fixed + each x batch.

    Attributes:
        fixed: What does not shrink with the batch.
        each: What a pair adds.
    """

    fixed: float
    each: float


@dataclass(frozen=True)
class Pace:
    """How long the steps of one way of training take, by their batch.

    Attributes:
        rows: With figures, the smallest batch first.
        full: The smallest batch that did not fit into the memory; None if all did.
    """

    rows: tuple[Row, ...]
    full: int | None = None

    def time(self, batch: int, operations: int) -> StepTime | None:
        """Return the time of a step; None where nothing can be said of such a batch.

        Other operations than those measured take time in proportion: the MFU is the same. Between
        measured batches, and beyond them, the time lies on the line of `line`.

        Args:
            batch: Pairs of one GPU.
            operations: Of a step for one pair, `tgdp.model.operations.Operations.step`.
        """
        if self.full is not None and batch >= self.full:
            return None
        for row in self.rows:
            if row.batch == batch:
                return StepTime(_per_operation(row) * operations, "measured")
        line = self.line()
        if line is None:
            return None
        inside = self.rows[0].batch < batch < self.rows[-1].batch
        seconds = (line.fixed + line.each * batch) * operations
        return StepTime(seconds, "interpolated" if inside else "extrapolated")

    def line(self) -> Line | None:
        """Return the line of least squares through all rows; None with fewer than two.

        Where it would begin below 0 it is drawn through 0: no step takes less than nothing.
        """
        if len(self.rows) < 2:
            return None
        points = [(row.batch, _per_operation(row)) for row in self.rows]
        middle = sum(batch for batch, _ in points) / len(points)
        mean = sum(time for _, time in points) / len(points)
        spread = sum((batch - middle) ** 2 for batch, _ in points)
        each = sum((batch - middle) * (time - mean) for batch, time in points) / spread
        fixed = mean - each * middle
        if fixed >= 0:
            return Line(fixed, each)
        squares = sum(batch**2 for batch, _ in points)
        return Line(0.0, sum(batch * time for batch, time in points) / squares)


def load(results: Path) -> tuple[Row, ...]:
    """Return the measured rows of a results folder, else those that come with the package.

    Raises:
        UserError: The file is not what `tgdp-bench step --csv` writes.
    """
    places = (results / FILE, PACKAGE.parent / "results" / FILE, PACKAGE / "bundled" / FILE)
    path = next((place for place in places if place.is_file()), None)
    return () if path is None else read(path)


def read(path: Path) -> tuple[Row, ...]:
    """Return the rows of a file of `tgdp-bench step --csv`.

    Raises:
        UserError: It cannot be read, has other columns, or a field that is no number.
    """
    names = [field.name for field in fields(Row)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines, start=2):
        if list(line) != names or None in line.values():
            raise UserError(f"{path}, line {number}: its columns are not {','.join(names)}")
    return tuple(_row(line, f"{path}, line {number}") for number, line in enumerate(lines, start=2))


def on_newest_card(rows: Iterable[Row], preset: str) -> tuple[Row, ...]:
    """Return the rows of a preset, unchanged, on the GPU that was measured last; none if none was.

    Those of another card are left out, because a line through both would be that of neither.
    """
    ours = [row for row in rows if row.preset == preset and not row.device.startswith("cpu")]
    return tuple(row for row in ours if row.device == ours[-1].device)


def find_pace(rows: Iterable[Row], config: Config) -> Pace | None:
    """Return how long the steps of a run take; None if none like them was measured.

    Args:
        rows: Of one preset on one card. Of two for the same, the later one counts.
        config: The run.
    """
    case, contender = case_of(config), contender_of(config)
    found = {
        row.batch: row
        for row in rows
        if (row.case, row.contender, row.precision) == (case, contender, config.training.precision)
    }
    timed = sorted(batch for batch, row in found.items() if row.median_ms is not None)
    if not timed:
        return None
    full = min((batch for batch in found if batch not in timed), default=None)
    return Pace(tuple(found[batch] for batch in timed), full)


def case_of(config: Config) -> str | None:
    """Return which of the timed ways of training a run is; None for one that is not timed.

    The labels are those of `tgdp.bench.step_cases`, which needs torch.
    """
    if config.passes == "dual":
        return "dual + teacher" if config.teacher.enabled else "dual pass"
    return None if config.teacher.enabled else "single pass"


def contender_of(config: Config) -> str | None:
    """Return under which name the steps of a run are timed; None for a way that is not timed."""
    runtime = config.runtime
    if runtime.activation_checkpointing:
        return None
    return name_of_ours(compiled=runtime.compile, graphed=runtime.cuda_graphs)


def _per_operation(row: Row) -> float:
    assert row.median_ms is not None
    return row.median_ms / 1e3 / row.operations_per_sample


def _row(line: dict[str, str], where: str) -> Row:
    def number(name: str) -> float | None:
        return positive(name, float) if line[name] else None

    def positive(name: str, kind: Callable[[str], Number]) -> Number:
        value = kind(line[name])
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {line[name]}, which is not above 0")
        return value

    try:
        return Row(
            date=line["date"],
            device=line["device"],
            torch=line["torch"],
            preset=line["preset"],
            case=line["case"],
            contender=line["contender"],
            batch=positive("batch", int),
            precision=line["precision"],
            median_ms=number("median_ms"),
            q25_ms=number("q25_ms"),
            q75_ms=number("q75_ms"),
            samples_per_s=number("samples_per_s"),
            mfu=number("mfu"),
            peak_gib=number("peak_gib"),
            operations_per_sample=positive("operations_per_sample", int),
            note=line["note"],
        )
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error
