"""A run in the queue: what is being done with it, what is left, and why it ended as it did."""

from dataclasses import dataclass, field
from typing import Literal

from tgdp.errors import UserError
from tgdp.sweep.backends import Handle
from tgdp.sweep.logs import error_since, last_words
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.probes import Probe, missing
from tgdp.sweep.stages import Stage, Stages
from tgdp.sweep.state import is_held, read_state
from tgdp.training.run_directory import ENDED_BADLY, Status

USER_ERROR = f"{UserError.__module__}.{UserError.__qualname__}"
"""What a traceback calls an error whose message says it all."""

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
        slot: The slot of its newest job.
        handle: Its newest job.
        stage: What that job does.
        former_attempt: Attempts before that job.
        known_errors: Bytes in the run's error file before that job.
    """

    planned: PlannedRun
    phase: Phase = "waiting"
    status: Status = field(default_factory=Status)
    error: str = ""
    started: tuple[float, int] = (0.0, 0)
    slot: int = -1
    handle: Handle | None = None
    stage: Stage | None = None
    former_attempt: int = -1
    known_errors: int = 0

    def look(self) -> Status:
        """Read the status anew."""
        self.status = read_state(self.planned.run)
        return self.status

    @property
    def failed(self) -> bool:
        """Whether the run is over without all that was wanted, and not by a request to stop."""
        return self.phase == "over" and (self.status.state != "done" or bool(self.error))

    def is_taken(self) -> bool:
        """Return whether a process works on the run."""
        if self.status.state == "done":
            # Probes leave the state alone.
            return bool(self.planned.probes) and is_held(self.planned.run)
        return self.status.state == "running"

    def missing(self) -> tuple[Probe, ...]:
        """Return the probes that are not there, as the run directory says."""
        fingerprint = self.planned.cell.config.data.fingerprint
        return missing(self.planned.run, fingerprint, self.planned.probes)

    def left(self, stages: Stages) -> Stage | None:
        """Return what is to be done next; None where nothing is left."""
        if self.status.state != "done":
            return stages.next(self.status)
        return stages.probe if self.missing() else None

    def end(self) -> None:
        """Take note that nothing more is done, and why."""
        self.phase = "over"
        is_whole = self.status.state == "done" and not self.missing()
        self.error = "" if is_whole else self._why()

    def _why(self) -> str:
        run, status = self.planned.run, self.status
        if status.state == "done":
            said = error_since(run, self.known_errors).removeprefix(f"{USER_ERROR}: ")
            return f"its probes: {said or f'its process ended, {last_words(run)}'}"
        if status.attempt == self.former_attempt:
            return f"did not start: {last_words(run)}"
        if status.state in ENDED_BADLY:
            return status.error
        return "its process ended before the run was done (killed, or out of memory?)"
