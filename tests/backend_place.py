"""A place where jobs run, as the contract of `backend_contract.py` deals with it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.integration.queue_bench import HELD_AT, Bench, end, wait_for
from tgdp.sweep.cells import find_one
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import RunDirectory

GOOD, BAD = 0.0, 0.25
"""The runs of most tests, by their mask ratio."""

PATIENCE_S = 180.0


class Place(Bench, ABC):
    """A place where jobs run, with a sweep of two rows in a folder of its own.

    Attributes:
        cluster: The place as the command line says it.
        moments: When a launch may be killed: `at work`, or in the middle of its submission.
        at_once: Runs that train together, if they may.
        comes_back: Whether a job that was told to go and saved is started again by the place.
    """

    cluster: ClassVar[str]
    moments: ClassVar[tuple[str, ...]] = ("at work",)
    at_once: ClassVar[int] = 2
    comes_back: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, [])
        self.prepare((GOOD, BAD))

    @abstractmethod
    def tell_to_go(self, run: RunDirectory) -> None:
        """Send the job of a run the signal that goes ahead of the end of a walltime."""

    def is_quiet(self) -> bool:
        """Return whether no job runs or waits."""
        return not self.status_of("running")

    def strays(self) -> set[str]:
        """Return the jobs that wait or run and that no run knows of."""
        return set()

    def launch(self, *more: str, jobs: int = 2, **environment: str) -> None:
        """Begin the command, which may stay until its runs have ended."""
        self.start(min(jobs, self.at_once), self.cluster, *more, **environment)

    def settle(self) -> str:
        """Wait until no command is at work and no job left; return what the commands printed."""
        printed = "".join(end(process, PATIENCE_S)[1] for process in self.started)
        self.started.clear()
        self.until(self.is_quiet)
        return printed

    def complete(self, *more: str, jobs: int = 2) -> str:
        """Do the command, and wait until all is over; return what it printed."""
        self.launch(*more, jobs=jobs)
        return self.settle()

    def launch_and_kill(self, moment: str) -> None:
        """Begin the command, kill it with -9, and wait until its jobs have noticed if they do."""
        del moment
        self.launch()
        self.until_held()
        process = self.started.pop()
        process.kill()
        process.communicate()
        self.until(self.is_quiet)

    def until_held(self) -> None:
        """Wait until as many runs as can wait at the step where they are held."""
        self.until(lambda: self.held() == self.at_once)

    def held(self) -> int:
        """Return how many runs are at the step where they are held."""
        return sum(status.step == HELD_AT for status in self.status_of("running"))

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something holds."""
        wait_for(condition, lambda: [read_state(run) for run in self.runs()], PATIENCE_S)

    def run_of(self, ratio: float) -> RunDirectory:
        """Return the run of a row."""
        return find_one(self.results, f"toy/{ratio}@0").run

    def state_of(self, ratio: float) -> str:
        """Return the state of the run of a row."""
        return read_state(self.run_of(ratio)).state

    def begun_at(self, run: RunDirectory) -> list[int]:
        """Return the step of each beginning of a run."""
        return [at for _, word, name, at in self.trace() if (word, name) == ("begin", run.name)]

    def words(self, ratio: float) -> list[str]:
        """Return what the jobs of a run did, in order."""
        name = self.run_of(ratio).name
        return [word for _, word, run, _ in self.trace() if run == name]
