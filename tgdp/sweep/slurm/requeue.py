"""How a job gets itself back into the queue, and how it knows whether the one before it was ended.

submitit's own handler is not used for it: it requeues wherever the work stands, on the first rank
alone, and takes it for a failure if SLURM has queued the job again by itself.
"""

import logging
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence

from tgdp.sweep.slurm.command import call
from tgdp.sweep.slurm.scheduler import ask

TRIES, PAUSE_S = 3, 1.0

ALREADY = "pending execution"
"""SLURM was quicker, and queues it by itself."""

NEVER = frozenset({"", "None", "N/A", "Unknown"})

log = logging.getLogger(__name__)


def job_number() -> str:
    """Return this job's number, `123` or `123_4`; empty where this is no job of SLURM's."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID', '0')}"
    return os.environ.get("SLURM_JOB_ID", "")


def has_restarted() -> bool:
    """Return whether this job was in the queue again since its submission."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") not in {"", "0"}


def put_back() -> bool:
    """Put this job back into the queue, unless it is there already, or somebody cancelled it.

    Returns:
        Whether it is in the queue.
    """
    number = job_number()
    facts = _facts(number)
    if (why := _why_not(facts)) is not None:
        log.info("saved; job %s is not queued again from inside: %s", number, why)
        return False
    said = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        done = _scontrol("requeue", number)
        if done.returncode == 0 or ALREADY in done.stderr:
            log.info("saved; job %s is in the queue again", number)
            return True
        said = done.stderr.strip()
    log.error("saved, but job %s cannot be queued again: %s", number, said)
    return False


def cancel(jobs: Sequence[str]) -> None:
    """Cancel jobs that wait; where that fails they start, and find nothing to do."""
    done = _run("scancel", *jobs)
    if done.returncode:
        log.warning("scancel %s: %s", " ".join(jobs), done.stderr.strip())


def _why_not(facts: Mapping[str, str]) -> str | None:
    """Return what speaks against queueing a job again; None where nothing does.

    To `scontrol requeue` a job that was cancelled is as good as any: it would come back.
    """
    if not facts:
        return "the controller does not answer; the next launch goes on from there"
    state = facts.get("JobState", "UNKNOWN")
    if state == "RUNNING":
        # Its walltime ends soon, or it has some grace before it is preempted.
        return None
    if state == "PENDING" or (state == "COMPLETING" and facts.get("EndTime", "") in NEVER):
        return "SLURM has done so itself"
    if facts.get("PreemptTime", "") not in NEVER:
        return None
    return None if facts.get("Reason") == "TimeLimit" else f"it was ended ({state})"


def _facts(number: str) -> dict[str, str]:
    """Return what the controller says of a job; nothing if it does not answer."""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        done = _scontrol("--oneliner", "show", "job", number)
        if done.returncode == 0:
            return dict(re.findall(r"(\w+)=(\S*)", done.stdout))
    return {}


def _scontrol(*words: str) -> subprocess.CompletedProcess[str]:
    return _run("scontrol", *words)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return call(*command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def was_cancelled(job: str) -> bool:
    """Return whether somebody cancelled a job, as far as the cluster remembers it."""
    known = ask((job,)).get(job)
    return known is not None and known.state == "CANCELLED"
