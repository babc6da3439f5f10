"""Who does the work of a study: the queue of this machine, or a cluster; runs are added one by one.

A run is told apart by its signature: two trials of equal science are one run.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from tgdp.sweep.backends import BACKENDS, Cluster
from tgdp.sweep.entry import Entry
from tgdp.sweep.machine import Slots
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.queue import PAUSE_S, Queue
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.stop import StopRequest
from tgdp.training.run_directory import Status

Phase = Literal["waiting", "running", "elsewhere", "over"]


class Work(NamedTuple):
    """How the work on a run is.

    Attributes:
        phase: `waiting` for a slot or in a cluster's queue, `running`, `elsewhere`: another launch
            runs it, `over`.
        status: What its directory said when last looked at.
        error: Why it is over without a result.
    """

    phase: Phase
    status: Status
    error: str = ""


class Workers(Protocol):
    """Does the work on runs.

    Attributes:
        at_once: Runs at once.
        pause_s: Seconds to leave between two looks.
        stop: Set when somebody asked to stop.
        goes_on: Whether the work goes on without the command that started it.
    """

    at_once: int
    pause_s: float
    stop: StopRequest
    goes_on: bool

    def add(self, planned: PlannedRun) -> None:
        """Take a run; it is begun at one of the next turns."""
        ...

    def turn(self) -> bool:
        """Look at every run, begin what can be; return whether anything is at work."""
        ...

    def look(self, signature: str) -> Work:
        """Return how a run is, as of the last turn."""
        ...

    def end(self, signature: str) -> None:
        """Let a run save and end, before its training is over."""
        ...

    def kill(self) -> None:
        """End at once what would not go on anyway."""
        ...


class LocalWorkers:
    """The queue of this machine.

    Args:
        cluster: `local` or `debug`.
        slots: Jobs at once and the share of each.
        stages: What the jobs of a run do.
    """

    goes_on = False
    pause_s = PAUSE_S

    def __init__(self, cluster: Cluster, slots: Slots, stages: Stages = IN_TWO) -> None:
        self._queue = Queue((), BACKENDS[cluster](), slots, _nobody, stages)
        self._entries: dict[str, Entry] = {}
        self.at_once = slots.jobs
        self.stop = self._queue.stop

    def add(self, planned: PlannedRun) -> None:
        """Take a run; one that is over is taken up again."""
        former = self._entries.get(planned.cell.signature)
        if former is None or former.phase == "over":
            self._entries[planned.cell.signature] = self._queue.add(planned)

    def turn(self) -> bool:
        """Let the queue do a turn."""
        return self._queue.turn()

    def look(self, signature: str) -> Work:
        """Return how a run is."""
        entry = self._entries[signature]
        return Work(entry.phase, entry.status, entry.error)

    def end(self, signature: str) -> None:
        """Let a run save and end."""
        self._queue.stop_run(self._entries[signature])

    def kill(self) -> None:
        """End every job at once."""
        self._queue.kill()


def _nobody(entries: Sequence[Entry], stopping: bool) -> None:
    del entries, stopping  # The study shows its trials, not the queue.
