"""Why a run is not done, in words: by its status, by its jobs, or by the last they printed."""

from pathlib import Path

from tgdp.sweep.job_logs import newest
from tgdp.sweep.lifetime import Cause, Life
from tgdp.sweep.slurm.reasons import how_ended

TAIL_BYTES = 8_192

KILLED_FOR_MEMORY = ("exceeded memory limit", "oom-kill", "oom_kill", "Out Of Memory", "bad_alloc")
"""How SLURM and the system say it in what a job printed."""

WORDS = {"oom": "out of memory"}


def trouble(life: Life) -> str:
    """Return why a run that is not done ended; empty where nothing is known."""
    if life.status.error:
        return life.status.error
    cause, held = cause_of(life), life.current
    if cause == "failed" and not life.status.updated and held is not None and held.job is not None:
        job, record = held.job, held.record
        return (
            f"job {job.job} ended before tgdp began ({how_ended(job)}); see `setup` of profile "
            f"'{record.profile}', and {record.error_log}"
        )
    return WORDS.get(cause, cause)


def cause_of(life: Life) -> Cause:
    """Return why a run ended; where the scheduler knows too little, by what it printed."""
    if life.cause in {"", "failed"} and life.known and not life.status.error and _ran_out(life):
        return "oom"
    return life.cause


def _ran_out(life: Life) -> bool:
    printed = newest(life.run)
    files = printed.files(0) if printed else ()
    return any(word in _end_of(path) for path in files for word in KILLED_FOR_MEMORY)


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
