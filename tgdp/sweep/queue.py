"""Our own queue: a few jobs at a time, in order, one slot each.

submitit's local executor starts everything it is given at once; the queue gives it one job for
every slot that is free, watches the run directories, and passes on requests to stop.
"""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tgdp.config import dump, override
from tgdp.sweep.backends import Backend, Handle
from tgdp.sweep.job import Job
from tgdp.sweep.logs import last_words
from tgdp.sweep.machine import Slots
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.stages import IN_TWO, Stage, next_stage
from tgdp.sweep.state import read_state
from tgdp.sweep.stop import StopRequest, stop_on_signals
from tgdp.training.run_directory import State, Status

PAUSE_S = 0.2
REPEAT_STOP_S = 1.0
"""A stop that finds a job in the instant before its handlers stand is lost; it is said again."""

OVER: tuple[State, ...] = ("done", "failed", "diverged")
"""What a job may leave behind that another one would not change."""

Phase = Literal["waiting", "running", "elsewhere", "over"]


@dataclass
class Entry:
    """A run in the queue.

    Attributes:
        planned: What the plan says about it.
        phase: `waiting` for a slot, `running` in one, `elsewhere`: another launch runs it, `over`.
        status: What its run directory said when last looked at.
        error: Why it did not end as it should, in one line.
        started: Monotonic time and optimiser step at which this launch began to watch it.
        stage: What its newest job does.
    """

    planned: PlannedRun
    phase: Phase = "waiting"
    status: Status = field(default_factory=Status)
    error: str = ""
    started: tuple[float, int] = (0.0, 0)
    slot: int = -1
    handle: Handle | None = None
    former_attempt: int = -1
    stage: Stage | None = None

    def look(self) -> Status:
        """Read the status anew."""
        self.status = read_state(self.planned.run)
        return self.status

    @property
    def failed(self) -> bool:
        """Whether the run is over without a result, and not because of a request to stop."""
        return self.phase == "over" and self.status.state != "done"


Observer = Callable[[list[Entry], bool], None]
"""Gets the entries, and whether somebody asked to stop."""


class Queue:
    """Runs what a plan has left, a job for every slot, until all is over or somebody stops it.

    Args:
        runs: What to run, in order.
        backend: Where.
        slots: How many at once, and what each gets.
        observer: Called after every look at the runs.
        stages: The jobs of a run, one after the other.
    """

    def __init__(
        self,
        runs: Iterable[PlannedRun],
        backend: Backend,
        slots: Slots,
        observer: Observer,
        stages: Sequence[Stage] = IN_TWO,
    ) -> None:
        self.entries = [Entry(planned, status=planned.status) for planned in runs]
        self.stop = StopRequest()
        self._backend = backend
        self._slots = slots
        self._observer = observer
        self._stages = stages
        self._said_stop = 0.0

    def run(self) -> None:
        """Work until all is over; after a request to stop, until what runs has saved."""
        with stop_on_signals(self.stop):
            try:
                while self._turn():
                    time.sleep(PAUSE_S)
            except KeyboardInterrupt:
                self._kill()
            self._observer(self.entries, self.stop())

    def _turn(self) -> bool:
        for entry in self.entries:
            if entry.phase in {"running", "elsewhere"}:
                self._collect(entry)
        if self.stop():
            self._ask_to_stop()
        else:
            self._fill()
        self._observer(self.entries, self.stop())
        if self.stop():
            return any(entry.phase == "running" for entry in self.entries)
        return any(entry.phase != "over" for entry in self.entries)

    def _fill(self) -> None:
        taken = {entry.slot for entry in self.entries if entry.phase == "running"}
        free = [slot for slot in range(self._slots.jobs) if slot not in taken]
        waiting = [entry for entry in self.entries if entry.phase == "waiting"]
        # A run that is trained keeps its slot: its result comes before another run begins.
        for entry in sorted(waiting, key=lambda entry: not entry.status.is_trained):
            if not free or self.stop():
                return
            if self._is_free(entry):
                self._start(entry, free.pop(0))

    def _is_free(self, entry: Entry) -> bool:
        """Return whether the run is nobody's: another launch may have begun or ended it."""
        former, now = entry.status, entry.look()
        if now.state == "running":
            entry.phase, entry.started = "elsewhere", (time.monotonic(), now.step)
        elif now.state in OVER and (now.state == "done" or now.attempt > former.attempt):
            self._end(entry)
        return entry.phase == "waiting"

    def _start(self, entry: Entry, slot: int) -> None:
        config, run = entry.planned.cell.config, entry.planned.run
        threads = config.runtime.threads or self._slots.threads
        text = dump(override(config, {"runtime.threads": threads}))
        gpu = self._slots.gpus[slot] if self._slots.gpus else ""
        run.create(text)
        entry.phase, entry.slot = "running", slot
        entry.started = (time.monotonic(), entry.status.step)
        entry.former_attempt = entry.status.attempt
        self._observer(self.entries, self.stop())
        entry.stage = stage = next_stage(self._stages, entry.status)
        words = (str(run.path.resolve()), text, stage.execute, os.getpid(), gpu)
        job = Job(*words, settled=stage.settled, leaves=stage.leaves)
        entry.handle = self._backend.start(job, run, threads)
        entry.look()

    def _collect(self, entry: Entry) -> None:
        # Asked before the status is read, or the last words of a job could be missed.
        ended = entry.handle is not None and entry.handle.finished()
        now = entry.look()
        if entry.phase == "running" and not ended:
            return
        entry.handle = None
        if now.state == "running":
            # The job found the run taken and left.
            entry.phase = "elsewhere"
        elif now.state in OVER:
            self._end(entry)
        elif self.stop() or entry.phase == "elsewhere" or _came_to_its_end(entry):
            entry.phase = "waiting"
        else:
            self._end(entry)

    def _end(self, entry: Entry) -> None:
        entry.phase = "over"
        entry.error = "" if entry.status.state == "done" else _why(entry)

    def _ask_to_stop(self) -> None:
        now = time.monotonic()
        if now - self._said_stop < REPEAT_STOP_S:
            return
        self._said_stop = now
        for entry in self.entries:
            if entry.phase == "running" and entry.handle is not None:
                entry.handle.stop()

    def _kill(self) -> None:
        self.stop.count += 1
        for entry in self.entries:
            if entry.handle is not None:
                entry.handle.kill()
            entry.look()


def _came_to_its_end(entry: Entry) -> bool:
    """Return whether a job did its part, so that the next one can do its own."""
    return entry.stage is not None and entry.status.state == entry.stage.leaves


def _why(entry: Entry) -> str:
    if entry.status.attempt == entry.former_attempt:
        return f"did not start: {last_words(entry.planned.run)}"
    if entry.status.state in OVER:
        return entry.status.error
    return "its process ended before the run was done (killed, or out of memory?)"
