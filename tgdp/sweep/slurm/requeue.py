"""How a job gets itself back into the queue, and how it knows whether the one before it was ended.

submitit's own handler is not used for it: it requeues wherever the work stands, on the first rank
alone, and takes it for a failure if SLURM has queued the job again by itself.
"""

import logging
import os
import subprocess
import time

from tgdp.sweep.slurm.scheduler import ask

TRIES, PAUSE_S = 3, 1.0

PATIENCE_S = 60

ALREADY = ("pending execution", "transitional state", "transistional state")
"""SLURM queues it by itself, or ends it: cancelled, at the end of its walltime."""

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
    """Put this job back into the queue, unless it is on its way there, or to its end.

    Returns:
        Whether SLURM has it in the queue, as far as can be said from inside.
    """
    said = ""
    for attempt in range(TRIES):
        time.sleep(PAUSE_S * attempt)
        try:
            done = subprocess.run(
                ("scontrol", "requeue", job_number()),
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
            continue
        said = done.stderr.strip()
        if done.returncode == 0:
            log.info("saved; job %s is in the queue again", job_number())
            return True
        if any(words in said for words in ALREADY):
            log.info("saved; SLURM itself queues job %s again or ends it (%s)", job_number(), said)
            return False
    log.error("saved, but job %s cannot be queued again: %s", job_number(), said)
    return False


def was_cancelled(job: str) -> bool:
    """Return whether somebody cancelled a job, as far as the cluster remembers it."""
    known = ask((job,)).get(job)
    return known is not None and known.state == "CANCELLED"
