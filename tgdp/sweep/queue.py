"""Our own queue: a few jobs at a time, in order, one slot each.

submitit's local executor starts everything it is given at once; the queue gives it one job for
every slot that is free, watches the run directories, and passes on requests to stop. A sweep gives
it all runs at once and calls `run`; a study adds them one by one and calls `turn` itself.
"""

import os
import time
from collections.abc import Callable, Iterable

from tgdp.config import dump, override
from tgdp.sweep.backends import Backend, Work
from tgdp.sweep.entry import Entry
from tgdp.sweep.job import Job
from tgdp.sweep.logs import error_size
from tgdp.sweep.machine import Slots
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.probe_job import ProbeJob
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.stop import StopRequest, stop_on_signals
from tgdp.training.run_directory import ENDED_BADLY

PAUSE_S = 0.2
REPEAT_STOP_S = 1.0
"""A stop that finds a job in the instant before its handlers stand is lost; it is said again."""

STOPPED = "stopped on request"

Observer = Callable[[list[Entry], bool], None]
"""Gets the entries, and whether somebody asked to stop."""


class Queue:
    """Runs what a plan has left, a job for every slot, until all is over or somebody stops it.

    Args:
        runs: What to run, in order.
        backend: Where.
        slots: How many at once, and what each gets.
        observer: Called after every look at the runs.
        stages: What the jobs of a run do.
    """

    def __init__(
        self,
        runs: Iterable[PlannedRun],
        backend: Backend,
        slots: Slots,
        observer: Observer,
        stages: Stages = IN_TWO,
    ) -> None:
        self.entries = [Entry(planned, status=planned.status) for planned in runs]
        self.stop = StopRequest()
        self._backend = backend
        self._slots = slots
        self._observer = observer
        self._stages = stages
        self._said_stop = 0.0
        self._to_stop: list[Entry] = []

    def add(self, planned: PlannedRun) -> Entry:
        """Return a run that is now the last in the queue."""
        entry = Entry(planned, status=planned.status)
        self.entries.append(entry)
        return entry

    def stop_run(self, entry: Entry) -> None:
        """Let the job of one run save and end; the run is over then, and the others go on.

        What another launch runs is left alone.
        """
        if entry.phase == "waiting":
            entry.phase, entry.error = "over", STOPPED
        elif entry.phase == "running":
            self._to_stop.append(entry)
            self._said_stop = 0.0

    def run(self) -> None:
        """Work until all is over; after a request to stop, until what runs has saved."""
        with stop_on_signals(self.stop):
            try:
                while self.turn():
                    time.sleep(PAUSE_S)
            except KeyboardInterrupt:
                self.kill()
            self._observer(self.entries, self.stop())

    def turn(self) -> bool:
        """Look at every run, start what there are slots for; return whether anything is left."""
        for entry in self.entries:
            if entry.phase in {"running", "elsewhere"}:
                self._collect(entry)
        self._ask_to_stop(self.entries if self.stop() else self._to_stop)
        if not self.stop():
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
        if entry.is_taken():
            entry.phase, entry.started = "elsewhere", (time.monotonic(), now.step)
        elif now.state in ENDED_BADLY:
            if now.attempt > former.attempt:
                entry.end()
        elif entry.left(self._stages) is None:
            entry.end()
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
        entry.known_errors = error_size(run)
        entry.stage = entry.left(self._stages)
        self._observer(self.entries, self.stop())
        entry.handle = self._backend.start(self._job(entry, text, gpu), run, threads)
        entry.look()

    def _job(self, entry: Entry, config: str, gpu: str) -> Work:
        stage, folder = entry.stage, str(entry.planned.run.path.resolve())
        assert stage is not None
        if stage.is_probing:
            return ProbeJob(folder, config, entry.missing(), stage.execute, os.getpid(), gpu)
        words = (folder, config, stage.execute, os.getpid(), gpu)
        return Job(*words, settled=stage.settled, leaves=stage.leaves)

    def _collect(self, entry: Entry) -> None:
        # Asked before the status is read, or the last words of a job could be missed.
        ended = entry.handle is not None and entry.handle.finished()
        now = entry.look()
        if entry.phase == "running" and not ended:
            return
        entry.handle = None
        if entry.is_taken():
            # The job found the run taken and left.
            entry.phase = "elsewhere"
        elif now.state in ENDED_BADLY or (left := entry.left(self._stages)) is None:
            entry.end()
        elif any(entry is one for one in self._to_stop):
            entry.phase, entry.error = "over", STOPPED
        elif self.stop() or entry.phase == "elsewhere" or left != entry.stage:
            # Its job came to its end, where something else is left now.
            entry.phase = "waiting"
        else:
            entry.end()

    def _ask_to_stop(self, entries: Iterable[Entry]) -> None:
        now = time.monotonic()
        if now - self._said_stop < REPEAT_STOP_S:
            return
        self._said_stop = now
        for entry in entries:
            if entry.phase == "running" and entry.handle is not None:
                entry.handle.stop()

    def kill(self) -> None:
        """End every job at once."""
        self.stop.count += 1
        for entry in self.entries:
            if entry.handle is not None:
                entry.handle.kill()
            entry.look()
