"""How a run is, by its directory and by the scheduler together; neither of them tells all.

The directory says how far the work is, the scheduler whether anybody is about to go on with it. A
result that is there outweighs whatever became of the job, for SLURM calls a job that finished in
its last seconds timed out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

from tgdp.sweep.gpu_hours import gpu_seconds, wasted_gpu_seconds
from tgdp.sweep.slurm.jobs import JobRecord, read
from tgdp.sweep.slurm.scheduler import SchedulerJob, ask_about
from tgdp.sweep.state import is_held, read_state
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory, Status

LifeState = Literal[
    "new",
    "stale",
    "queued",
    "running",
    "interrupted",
    "diverged",
    "failed",
    "trained",
    "done",
]

Cause = Literal["", "failed", "timeout", "oom", "cancelled", "preempted", "node"]

CAUSES: dict[str, Cause] = {
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "OUT_OF_MEMORY": "oom",
    "CANCELLED": "cancelled",
    "PREEMPTED": "preempted",
    "REVOKED": "preempted",
    "NODE_FAIL": "node",
    "BOOT_FAIL": "node",
    "FAILED": "failed",
}

WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})

OUT_OF_MEMORY = ("OutOfMemoryError", "out of memory", "MemoryError", "Cannot allocate memory")
"""How Python, CUDA and the system say it."""

GUESS = "out of memory?"
"""How we say that we do not know."""

LEFT = "75:0"
"""Exit code of a job that saved and left because it was told to."""

EARLY_S = 90.0
"""SLURM looks at limits every 30 s, and may send a signal a minute early."""

CLOCKS_S = 60.0
"""Two hosts' clocks agree by so much."""


class Held(NamedTuple):
    """A job of a run: what was submitted, and what the scheduler says of it, if anything."""

    record: JobRecord
    job: SchedulerJob | None


@dataclass(frozen=True)
class Life:
    """How a run is.

    Attributes:
        run: Its directory, which need not exist.
        status: What is written in it.
        state: How it is, everything considered.
        cause: Why nobody goes on with it, where that is known.
        jobs: Its jobs on a cluster, the oldest first.
        is_sure: Whether the scheduler knows all its jobs, or knows them to be gone. If not, one of
            them may wait or run.
    """

    run: RunDirectory
    status: Status
    state: LifeState
    cause: Cause = ""
    jobs: tuple[Held, ...] = ()
    is_sure: bool = True

    @cached_property
    def known(self) -> tuple[SchedulerJob, ...]:
        """Its jobs that the scheduler knows."""
        return tuple(held.job for held in self.jobs if held.job is not None)

    @property
    def active(self) -> tuple[SchedulerJob, ...]:
        """Its jobs that wait or run."""
        return tuple(job for job in self.known if job.is_active)

    @property
    def current(self) -> Held | None:
        """The job that says where it is: a running one, else a waiting one, else the last that ran.

        The evaluation of a run that did not come to its end is cancelled without having run.
        """
        active = [held for held in self.jobs if held.job is not None and held.job.is_active]
        running = [held for held in active if held.job and held.job.state not in WAITING]
        ran = [held for held in self.jobs if held.job is not None and held.job.has_run]
        return next(iter(running or active or ran[-1:] or self.jobs[-1:]), None)

    @property
    def gpu_s(self) -> float:
        """GPU-seconds that it has used."""
        return gpu_seconds(self.run, self.status, [held.job for held in self.jobs])

    @property
    def wasted_gpu_s(self) -> float:
        """GPU-seconds of them whose work was lost."""
        return wasted_gpu_seconds(self.run, self.status, [held.job for held in self.jobs])


def look(
    runs: Sequence[tuple[RunDirectory, Status]],
    ended: dict[str, SchedulerJob] | None = None,
    *,
    queue_alone: bool = False,
) -> tuple[Life, ...]:
    """Return how some runs are; the scheduler is asked once for the jobs of all.

    Args:
        runs: Directories with what is written in them.
        ended: Jobs that came to their end in an earlier look, which are not asked about again; new
            ones are added.
        queue_alone: Only whether anybody is about to go on with a run is wanted, not what became
            of jobs that are over, nor what they cost.
    """
    records = [
        read(run) if _is_worth_asking(run, status, queue_alone) else [] for run, status in runs
    ]
    over = {} if ended is None else ended
    asked = (record for some in records for record in some if record.job not in over)
    jobs = ask_about(asked, queue_alone=queue_alone)
    over.update({name: job for name, job in jobs.items() if not job.is_active})
    known = {**over, **jobs}
    lives = (
        judge(run, status, tuple(Held(record, known.get(record.job)) for record in some))
        for (run, status), some in zip(runs, records, strict=True)
    )
    if jobs.queue_answered:
        return tuple(lives)
    return tuple(
        replace(life, is_sure=all(held.job is not None for held in life.jobs)) for life in lives
    )


def look_now(
    runs: Iterable[RunDirectory], ended: dict[str, SchedulerJob] | None = None
) -> tuple[Life, ...]:
    """Return how some runs are, by what is written in them at this moment.

    Args:
        runs: Their directories.
        ended: As for `look`.
    """
    return look([(run, read_state(run)) for run in runs], ended)


def judge(run: RunDirectory, status: Status, jobs: tuple[Held, ...] = ()) -> Life:
    """Return how one run is, from its status and its jobs."""
    pairs = [(held.record, held.job) for held in jobs if held.job is not None]
    active = [(record, job) for record, job in pairs if job.is_active]
    if status.state == "done":
        return Life(run, status, "done", "", jobs)
    if any(job.state not in WAITING for _, job in active):
        return Life(run, status, "running", "", jobs)
    ended_badly = status.state in ENDED_BADLY
    if active and not (ended_badly and _are_older(active, status)):
        return Life(run, status, "trained" if status.is_trained else "queued", "", jobs)
    ended = [(record, job) for record, job in pairs if not job.is_active]
    over = [job for _, job in ended]
    cause = _cause(status, ended)
    if ended_badly or not over:
        return Life(run, status, status.state, cause, jobs)
    return Life(run, status, _left(run, status, over, cause), cause, jobs)


def _is_worth_asking(run: RunDirectory, status: Status, queue_alone: bool) -> bool:
    if queue_alone and status.state == "done":
        return False
    # A run that waits for its first job has a folder and a list of jobs, but no status.
    return bool(status.updated) or run.path.is_dir()


def _are_older(active: Iterable[tuple[JobRecord, SchedulerJob]], status: Status) -> bool:
    """Return whether jobs were submitted before a run failed: they wait for what never comes."""
    return all(record.submitted <= status.updated for record, _ in active)


def _left(
    run: RunDirectory, status: Status, over: Sequence[SchedulerJob], cause: Cause
) -> LifeState:
    """Return what a run is whose jobs are all over."""
    if status.state == "running":
        ends = [job.end for job in over if job.end is not None]
        elsewhere = bool(ends) and status.updated > max(ends) + CLOCKS_S
        return "running" if elsewhere or is_held(run) else "interrupted"
    if status.state == "new":
        return "failed" if cause == "failed" else "interrupted"
    return status.state


def _cause(status: Status, ended: Sequence[tuple[JobRecord, SchedulerJob]]) -> Cause:
    if _is_out_of_memory(status.error):
        return "oom"
    if not ended:
        return "failed" if status.state == "failed" else ""
    ran = [pair for pair in ended if pair[1].has_run] or ended
    record, newest = max(ran, key=lambda pair: pair[1].end or pair[1].start or 0.0)
    if newest.out_of_memory:
        return "oom"
    if newest.exit_code == LEFT and newest.state == "FAILED":
        if _was_cancelled(record, ran):
            return "cancelled"
        # It was told to go: by the signal that is sent ahead of its limit, or before its time.
        told_s, limit = newest.elapsed_s + record.signal_ahead + EARLY_S, newest.limit_s
        return "timeout" if limit and told_s >= limit else ""
    return "failed" if status.state == "failed" else CAUSES.get(newest.state, "")


def _was_cancelled(newest: JobRecord, ran: Sequence[tuple[JobRecord, SchedulerJob]]) -> bool:
    """Return whether a job of the same chain was: its successor has seen that, and left."""
    chain = (job for record, job in ran if record.folder == newest.folder and record != newest)
    return any(job.state == "CANCELLED" for job in chain)


def _is_out_of_memory(error: str) -> bool:
    return GUESS not in error and any(words in error for words in OUT_OF_MEMORY)
