"""How SLURM says that jobs are: one `squeue` and one `sacct` for all of them.

submitit is not asked: after a requeue, a node's failure or preemption it tells another story. The
queue is believed first, for it knows at once; the accounts, which lag by a second, know the jobs
that it has forgotten, how often a job was started, and what it used.
"""

import time
from collections.abc import Collection, Iterable, Mapping

from tgdp.sweep.slurm.command import answer
from tgdp.sweep.slurm.jobs import JobRecord
from tgdp.sweep.slurm.listing import (
    SACCT_FIELDS,
    SQUEUE_FIELDS,
    SchedulerJob,
    from_sacct,
    from_squeue,
)

__all__ = ["Known", "SchedulerJob", "ask", "ask_about", "polite"]

YOUNG_S = 60.0
"""For so long after its submission a job that neither knows counts as pending."""

MANY, PAUSE_OF_MANY_S = 50, 15.0
"""A scheduler that everybody shares is not asked more often about many jobs."""

MOST_IDS = 8_000
"""Ids in one command: Linux takes 128 KiB in one word."""


class Known(dict[str, SchedulerJob]):
    """The jobs that the scheduler knows, by id.

    Attributes:
        queue_answered: Whether the queue answered. If not, a job that is not in here may be
            waiting all the same.
    """

    queue_answered: bool = True


def polite(pause_s: float, active: int) -> float:
    """Return the seconds to leave between two questions about so many jobs in the queue.

    Args:
        pause_s: What somebody would like.
        active: Jobs in the queue.
    """
    return max(pause_s, PAUSE_OF_MANY_S) if active > MANY else pause_s


def ask_about(records: Iterable[JobRecord], *, queue_alone: bool = False) -> Known:
    """Return what the scheduler knows of jobs that were submitted for runs, by id.

    Args:
        records: The jobs.
        queue_alone: As for `ask`.
    """
    submitted = {record.job: record.submitted for record in records}
    return ask(submitted, submitted, queue_alone=queue_alone)


def ask(
    jobs: Collection[str],
    submitted: Mapping[str, float] | None = None,
    *,
    queue_alone: bool = False,
) -> Known:
    """Return the jobs that the scheduler knows, by id.

    Where `sacct` does not answer, `squeue` alone counts, and the other way round; the failure is
    warned of. A cluster without accounting knows a job for some minutes after its end.

    Args:
        jobs: Ids as SLURM says them, `123` or `123_4`.
        submitted: Unix time of the submission of each, where known: one that is a minute old may be
            unknown to both, and is pending.
        queue_alone: What is in the queue is all that is asked for; the accounts, a database that
            everybody shares, are spared.
    """
    found = Known()
    if not jobs:
        return found
    queue, accounts = _listings(jobs, queue_alone)
    found.queue_answered = queue is not None
    now = time.time()
    for job in jobs:
        known = _together(queue.get(job) if queue else None, accounts.get(job), queue is not None)
        if known is None and now - (submitted or {}).get(job, 0.0) < YOUNG_S:
            known = SchedulerJob(job, "PENDING", "just submitted", is_active=True)
        if known is not None:
            found[job] = known
    return found


def _listings(
    jobs: Collection[str], queue_alone: bool
) -> tuple[dict[str, SchedulerJob] | None, dict[str, SchedulerJob]]:
    """Return what the queue says, None if it does not answer, and what the accounts say."""
    ids = sorted({job.partition("_")[0] for job in jobs})
    queue: dict[str, SchedulerJob] | None = {}
    accounts: dict[str, SchedulerJob] = {}
    for first in range(0, len(ids), MOST_IDS):
        some = ",".join(ids[first : first + MOST_IDS])
        listed = answer("squeue", "--noheader", "-r", "--states=all", "-O", _columns(), "-j", some)
        if listed is None:
            queue = None
        elif queue is not None:
            queue |= from_squeue(listed)
        if queue_alone:
            continue
        words = ("--noheader", "--parsable2", "--duplicates", "-o", ",".join(SACCT_FIELDS))
        accounts |= from_sacct(answer("sacct", *words, "-j", some) or "")
    return queue, accounts


def _columns() -> str:
    # 0: as wide as it needs to be; behind the width stands what parts the columns.
    return ",".join(f"{name}:0|" for name in SQUEUE_FIELDS)


def _together(
    queued: SchedulerJob | None, account: SchedulerJob | None, queue_answered: bool
) -> SchedulerJob | None:
    if queued is None:
        # The accounts go on saying RUNNING of a job whose end they were never told.
        is_active = account is not None and account.is_active and not queue_answered
        return account._replace(is_active=is_active) if account else None
    if account is None:
        return queued
    return queued._replace(
        restarts=max(queued.restarts, account.restarts),
        gpu_s=max(queued.gpu_s, account.gpu_s),
        out_of_memory=queued.out_of_memory or account.out_of_memory,
        exit_code=account.exit_code if not queued.is_active else queued.exit_code,
    )
