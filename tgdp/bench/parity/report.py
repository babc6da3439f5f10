"""All checks of one file: the rows, what is missing, and the verdict."""

from dataclasses import dataclass
from pathlib import Path

from tgdp.bench.parity.checks import Check, model_checks
from tgdp.bench.parity.difference import Difference
from tgdp.bench.parity.figures import read_figures, unknown_sizes
from tgdp.bench.parity.front_end import front_end_checks
from tgdp.bench.parity.gradients import gradient_checks
from tgdp.bench.parity.replay import Replay
from tgdp.errors import UserError

CHECKS = (*model_checks(), *gradient_checks(), *front_end_checks())
"""Every check, in the order of the table."""

HEADINGS = ("check", "values compared", "largest difference", "relative", "ok")


@dataclass(frozen=True)
class Row:
    """A check that was made, or why it was not.

    Attributes:
        name: What was compared, with what a reader has to know of it.
        difference: None where the file lacks something.
        lacking: What that is.
    """

    name: str
    difference: Difference | None
    lacking: tuple[str, ...] = ()

    def cells(self, rtol: float) -> tuple[str, str, str, str, str]:
        """Return the row as text, one cell a heading."""
        found = self.difference
        if found is None:
            return self.name, f"not in the file: {', '.join(self.lacking)}", "", "", ""
        kept = found.compared == found.total
        compared = f"{found.compared:,}" + ("" if kept else f" of {found.total:,}")
        largest = f"{found.largest:.0f} unequal" if found.counted else f"{found.largest:.1e}"
        verdict = "yes" if found.within(rtol) else "NO"
        return self.name, compared, largest, f"{found.relative:.1e}", verdict


@dataclass(frozen=True)
class Report:
    """The outcome for one file.

    Attributes:
        rows: In the order of `CHECKS`.
        rtol: Relative difference above which a check fails.
        unread: Names in the file that no check reads.
    """

    rows: tuple[Row, ...]
    rtol: float
    unread: tuple[str, ...]

    @property
    def failed(self) -> list[Row]:
        """Checks above the tolerance."""
        return [row for row in self.rows if row.difference and not row.difference.within(self.rtol)]

    @property
    def lines(self) -> list[str]:
        """What stands below the table: each failure, what nobody read, and the verdict."""
        unread = [f"not read: {', '.join(self.unread)}"] if self.unread else []
        return [*(f"different: {row.name}" for row in self.failed), *unread, self._verdict()]

    def _verdict(self) -> str:
        made = [(row.name, row.difference.relative) for row in self.rows if row.difference]
        worst, relative = max(made, key=lambda one: one[1])
        missing = len(self.rows) - len(made)
        lacking = f", {missing} not in the file" if missing else ""
        count = f"{len(made)} checks{lacking}, {len(self.failed)} above {self.rtol:g}"
        return f"{count}; worst: {worst}, {relative:.1e}"


def compare(path: Path, rtol: float) -> Report:
    """Return how ours compares with a file of the released model's figures.

    Args:
        path: An `.npz` file.
        rtol: Relative difference above which a check fails.

    Raises:
        UserError: The file cannot be read, lacks sizes or weights, or holds nothing to compare.
    """
    replay = Replay(read_figures(path))
    outputs = [check for check in CHECKS if not check.key.startswith("weights/")]
    if all(check.lacking(replay) for check in outputs):
        raise UserError(
            f"{path}: nothing to check: none of the outputs that it could hold is there"
        )
    return Report(tuple(run(check, replay) for check in CHECKS), rtol, _unread(replay))


def run(check: Check, replay: Replay) -> Row:
    """Return the row of one check.

    Raises:
        UserError: A figure has not the shape that its sizes ask for.
    """
    lacking = check.lacking(replay)
    if lacking:
        return Row(check.title(replay), None, tuple(lacking))
    try:
        difference = check.measure(replay)
    except (ValueError, IndexError) as error:
        raise UserError(f"{replay.figures.path}: '{check.key}': {error}") from error
    return Row(check.title(replay, difference.note), difference)


def _unread(replay: Replay) -> tuple[str, ...]:
    known = {key for check in CHECKS for key in (check.key, *check.needs)}
    folders = ("config/", "weights/", "gradnorm/")
    others = [
        name for name in replay.figures.arrays if name not in known and not name.startswith(folders)
    ]
    return (*(f"config/{name}" for name in unknown_sizes(replay.figures)), *others)
