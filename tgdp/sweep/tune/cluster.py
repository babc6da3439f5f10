"""Trials as jobs of a cluster: submitted together as they come, looked at no faster than is polite.

The jobs go on when the command ends; the next one finds them by their run directories.
"""

import logging
import math
import time

from tgdp.sweep.cancel import Stoppable, stop
from tgdp.sweep.cells import Named
from tgdp.sweep.declare import Sweep
from tgdp.sweep.estimate import UNKNOWN
from tgdp.sweep.lifetime import Life, look
from tgdp.sweep.plan import Plan, PlannedRun
from tgdp.sweep.queue import STOPPED
from tgdp.sweep.slurm.jobs import read
from tgdp.sweep.slurm.marks import SilentQueueError
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.reasons import how_ended
from tgdp.sweep.slurm.scheduler import PAUSE_OF_MANY_S, SchedulerJob, polite
from tgdp.sweep.slurm.submit import submit
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.state import read_state
from tgdp.sweep.stop import StopRequest
from tgdp.sweep.tune.task import Task
from tgdp.sweep.tune.workers import Phase, Work
from tgdp.training.run_directory import ENDED_BADLY

QUIET_LOOKS = 2
"""Looks in a row that find no job of a run: one that is requeued is in no list for a moment."""

TURN_S = 0.5

log = logging.getLogger(__name__)

SETTLED = frozenset({"done", *ENDED_BADLY})
"""States after which nothing more comes of a run."""

PHASES: dict[str, Phase] = {"running": "running", "trained": "running"}


class _Followed:
    """A run with jobs, and what was seen of it."""

    def __init__(self, planned: PlannedRun) -> None:
        self.planned = planned
        self.work = Work("waiting", planned.status)
        self.quiet = 0
        self.is_new = True
        self.is_ending = False
        self.submitted_at = planned.status.step


class ClusterWorkers:
    """Jobs of SLURM.

    Args:
        task: The study.
        profile: Where and how its jobs run.
        at_once: Runs at once.
        largest: Elements that an array of the cluster may have.
        stages: What the jobs of a run do.
        look_every_s: Seconds between two questions to the scheduler.
    """

    goes_on = True
    pause_s = TURN_S

    def __init__(
        self,
        task: Task,
        profile: Profile,
        at_once: int,
        largest: int,
        stages: Stages = IN_TWO,
        look_every_s: float = PAUSE_OF_MANY_S,
    ) -> None:
        self.at_once = at_once
        self.stop = StopRequest()
        self._task = task
        self._profile = profile
        self._largest = largest
        self._stages = stages
        self._look_every_s = look_every_s
        self._asked_at = -math.inf
        self._is_urgent = False
        self._in_queue = 0
        self._ended: dict[str, SchedulerJob] = {}
        self._runs: dict[str, _Followed] = {}

    def add(self, planned: PlannedRun) -> None:
        """Take a run; it is submitted at the next turn, unless a job of it is in the queue."""
        former = self._runs.get(planned.cell.signature)
        if former is None or former.work.phase == "over":
            self._runs[planned.cell.signature] = _Followed(planned)

    def turn(self) -> bool:
        """Submit what is new, and ask the scheduler if it is time; say whether jobs are at work."""
        at_work = [run for run in self._runs.values() if run.work.phase != "over"]
        if not self.stop() and self._may_ask(0.0):
            self._submit([run for run in at_work if run.is_new and not run.is_ending])
        if at_work and self._may_ask(0.0 if self._is_urgent else self._look_every_s):
            self._look(at_work)
        # They go on by themselves: nobody has to wait for them once the command is to stop.
        return bool(at_work) and not self.stop()

    def look(self, signature: str) -> Work:
        """Return how a run is."""
        run = self._runs[signature]
        if run.work.phase == "over":
            return run.work
        # Its directory may be asked as often as one likes.
        return run.work._replace(status=read_state(run.planned.run))

    def end(self, signature: str) -> None:
        """Cancel the jobs of a run: what runs saves first."""
        self._runs[signature].is_ending = True
        self._is_urgent = True

    def kill(self) -> None:
        """Do nothing: the jobs go on."""

    def _may_ask(self, pause_s: float) -> bool:
        """Return whether the last question, of whatever kind, is long enough ago."""
        return time.monotonic() >= self._asked_at + polite(pause_s, self._in_queue)

    def _submit(self, runs: list[_Followed]) -> None:
        if not runs:
            return
        sweep: Sweep = self._task.sweep(run.planned.cell for run in runs)
        plan = Plan(sweep, tuple(run.planned for run in runs), UNKNOWN, frozenset(ENDED_BADLY))
        try:
            submit(plan, self._profile, self._task.results, self._largest, self._stages)
        except SilentQueueError as error:
            # The jobs go on meanwhile; a study need not end for a controller that is restarted.
            log.warning("%s", error)
            self._asked_at = time.monotonic() + self._look_every_s
            return
        for run in runs:
            run.is_new = False
            run.quiet = 0
        # A submission asks too: about all jobs that its runs had before.
        self._asked_at, self._is_urgent = time.monotonic(), True
        self._in_queue += sum(len(read(run.planned.run)) for run in runs)

    def _look(self, runs: list[_Followed]) -> None:
        pairs = [(run.planned.run, read_state(run.planned.run)) for run in runs]
        lives = look(pairs, self._ended)
        self._asked_at, self._is_urgent = time.monotonic(), False
        self._in_queue = sum(_in_queue(life) for life in lives)
        for run, life in zip(runs, lives, strict=True):
            self._judge(run, life)
        stop(
            [
                Stoppable(Named(run.planned.run), life, tuple(job.job for job in life.active))
                for run, life in zip(runs, lives, strict=True)
                if run.is_ending and run.work.phase != "over" and life.active
            ]
        )

    def _judge(self, run: _Followed, life: Life) -> None:
        # If the queue is silent, the end of one job settles nothing: another one may wait.
        if life.state in SETTLED and (life.is_sure or life.status.state in SETTLED):
            run.work = Work("over", life.status, life.status.error or _before_it_began(life))
            return
        if life.active or life.state == "running":
            run.quiet = 0
            elsewhere = not life.jobs and life.state == "running"
            phase: Phase = "elsewhere" if elsewhere else PHASES.get(life.state, "waiting")
            run.work = Work(phase, life.status)
            return
        if not life.is_sure:
            run.work = run.work._replace(status=life.status)
            return
        run.quiet += 1
        if run.is_ending:
            run.work = Work("over", life.status, STOPPED)
        elif run.quiet >= QUIET_LOOKS:
            self._left(run, life)

    def _left(self, run: _Followed, life: Life) -> None:
        """Submit a run again whose jobs ended before it did, as long as each brings it further."""
        gets_on = life.status.step > run.submitted_at and life.cause not in {"cancelled", "oom"}
        if gets_on:
            run.planned = self._task.planned(run.planned.cell)
            run.is_new, run.submitted_at = True, life.status.step
            return
        why = life.cause or "their logs say why"
        run.work = Work("over", life.status, f"its jobs ended before it was done ({why})")


def _before_it_began(life: Life) -> str:
    """Return how the job of a run ended that has not written a word; empty if it has."""
    # Neither its number nor its log: three trials that fail alike are to say the same.
    if life.status.state != "new" or life.current is None or life.current.job is None:
        return ""
    return f"its job ended before tgdp began ({how_ended(life.current.job)})"


def _in_queue(life: Life) -> int:
    """Return how many jobs of a run wait or run, as far as anybody knows."""
    unknown = 0 if life.is_sure else sum(held.job is None for held in life.jobs)
    return len(life.active) + unknown
