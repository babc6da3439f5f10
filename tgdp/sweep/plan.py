"""What a sweep would do: every cell, the state of its run, and how long the rest will take.

Kept light: no torch, no numpy, and no file opened for a run that was never started.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryFile

from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, Sweep
from tgdp.sweep.estimate import Estimate, estimate_seconds
from tgdp.sweep.probes import Probe, missing
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory, State, Status

STATES: tuple[State, ...] = (
    "new",
    "running",
    "interrupted",
    "diverged",
    "failed",
    "trained",
    "done",
)

NEVER_STARTED = Status(updated=0.0)


@dataclass(frozen=True)
class PlannedRun:
    """One cell of a sweep and what its run directory says.

    Attributes:
        cell: Row, seed and resolved configuration.
        folder: Where the run directories are.
        status: The newest record in it; `state` is what the plan goes by.
        probes: Those that are asked for.
        missing: Those of them that it has not been measured by.
    """

    cell: Cell
    folder: Path
    status: Status
    probes: tuple[Probe, ...] = ()
    missing: tuple[Probe, ...] = ()

    @cached_property
    def run(self) -> RunDirectory:
        """Its directory, which need not exist; not made before it is needed."""
        return RunDirectory(self.folder / self.cell.signature)

    @property
    def state(self) -> State:
        """The state of the run."""
        return self.status.state


@dataclass(frozen=True)
class Plan:
    """Every run of a sweep, what is left of it, and the time that will take.

    Attributes:
        sweep: The declaration.
        runs: In the order they will be started.
        estimate: Seconds one run takes, and where that number comes from.
        retry: States that are no reason to leave a run alone: `failed`, `diverged`.
    """

    sweep: Sweep
    runs: tuple[PlannedRun, ...]
    estimate: Estimate
    retry: frozenset[State] = frozenset()

    def counts(self) -> Counter[State]:
        """Return how many runs are in each state."""
        return Counter(planned.state for planned in self.runs)

    def todo(self) -> tuple[PlannedRun, ...]:
        """Return the runs that a launch would start, or wait for where somebody else runs them."""
        settled = {"done", *ENDED_BADLY} - self.retry
        return tuple(
            planned
            for planned in self.runs
            if planned.state not in settled or (planned.state == "done" and planned.missing)
        )

    def seconds_left(self, planned: PlannedRun) -> float | None:
        """Return the seconds one run still needs; None where nothing like it has finished."""
        if planned.state == "done":
            return 0.0
        if self.estimate.seconds is None:
            return None
        return self.estimate.seconds * (1 - planned.status.share)

    def wall_seconds(self, jobs: int) -> float | None:
        """Return the seconds until all is done with this many jobs at once."""
        left = [self.seconds_left(planned) or 0.0 for planned in self.todo()]
        if not left:
            return 0.0
        if self.estimate.seconds is None:
            return None
        # The last run of an uneven division keeps one slot busy for its whole length.
        return max(sum(left) / jobs, *left)


def make_plan(
    sweep: Sweep,
    cells: tuple[Cell, ...],
    results: Path,
    retry: frozenset[State] = frozenset(),
    probes: tuple[Probe, ...] = (),
) -> Plan:
    """Return the plan of a sweep; nothing is written.

    Args:
        sweep: The declaration.
        cells: Its expansion over one base.
        results: Results folder, where `runs/` lies.
        retry: States that count as work to do, of `failed` and `diverged`.
        probes: What every run is to be measured by, once it is done.

    Raises:
        UserError: An evaluation that a run has kept cannot be read.
    """
    folder = results / "runs"
    known = _known_runs(folder)
    runs = tuple(_look_at(cell, folder, known, probes) for cell in _without_twins(cells))
    return Plan(sweep, runs, estimate_seconds(sweep, runs, results), retry)


def check_writable(results: Path) -> None:
    """Make the folder of the runs.

    Raises:
        UserError: It cannot be made or written to.
    """
    try:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        # Without a name: another launch that lists the folder at this moment finds only runs.
        TemporaryFile(dir=results / "runs").close()
    except OSError as error:
        raise UserError(
            f"{results}: cannot write there ({error.strerror}); choose a folder with --results DIR"
        ) from error


def _known_runs(folder: Path) -> frozenset[str]:
    # One listing instead of one failed open for each of ten thousand cells.
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()


def _without_twins(cells: tuple[Cell, ...]) -> tuple[Cell, ...]:
    first: dict[str, Cell] = {}
    for cell in cells:
        first.setdefault(cell.signature, cell)
    return tuple(first.values())


def _look_at(
    cell: Cell, folder: Path, known: frozenset[str], probes: tuple[Probe, ...]
) -> PlannedRun:
    if cell.signature not in known:
        return PlannedRun(cell, folder, NEVER_STARTED, probes, probes)
    run = RunDirectory(folder / cell.signature)
    left = missing(run, cell.row.data.fingerprint, probes)
    return PlannedRun(cell, folder, read_state(run), probes, left)
