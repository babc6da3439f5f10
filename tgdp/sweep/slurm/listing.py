"""What `squeue` and `sacct` print, read into jobs."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

ACTIVE = frozenset(
    {
        "PENDING",
        "CONFIGURING",
        "RUNNING",
        "COMPLETING",
        "STAGE_OUT",
        "SUSPENDED",
        "STOPPED",
        "RESIZING",
        "SIGNALING",
        "REQUEUED",
        "REQUEUE_FED",
        "REQUEUE_HOLD",
        "SPECIAL_EXIT",
    }
)
"""States of a job that has not come to its end. Source: man squeue, JOB STATE CODES."""

SQUEUE_FIELDS = (
    "JobArrayID",
    "State",
    "Reason",
    "NodeList",
    "TimeUsed",
    "exit_code",
    "RestartCnt",
    "Partition",
    "StartTime",
    "EndTime",
    "tres-alloc",
    "TimeLimit",
)

SACCT_FIELDS = (
    "JobID",
    "State",
    "Reason",
    "NodeList",
    "ElapsedRaw",
    "ExitCode",
    "Submit",
    "Partition",
    "Start",
    "End",
    "AllocTRES",
    "Timelimit",
)

NOWHERE = frozenset({"", "None", "None assigned", "(null)", "N/A", "NONE", "Unknown"})
"""How the two say that there is nothing to say."""


class SchedulerJob(NamedTuple):
    """A job as the scheduler knows it; a tuple, for there may be ten thousands.

    Attributes:
        job: Its id; `123_4` for an element of an array.
        state: SLURM's word, without who did it: `CANCELLED`, not `CANCELLED by 0`.
        reason: Why it is pending, in SLURM's word; empty where it says none.
        node: Where it runs or ran.
        elapsed_s: Seconds since its newest start.
        exit_code: Exit code and signal, as `1:0`.
        restarts: How often it was put back into the queue.
        partition: Its partition, or several with commas.
        start: Unix time of its newest start; None if it has not started.
        end: Unix time of its end; None while that is open.
        gpus: GPUs it has or had.
        limit_s: Seconds after which it is ended; None where there is no limit.
        gpu_s: GPU-seconds of all its starts.
        out_of_memory: Whether it, or a step of it, ran out of memory.
        is_active: Whether it is in the queue: it waits, runs, or is about to again.
    """

    job: str
    state: str
    reason: str = ""
    node: str = ""
    elapsed_s: float = 0.0
    exit_code: str = ""
    restarts: int = 0
    partition: str = ""
    start: float | None = None
    end: float | None = None
    gpus: int = 0
    limit_s: float | None = None
    gpu_s: float = 0.0
    out_of_memory: bool = False
    is_active: bool = False

    @property
    def has_run(self) -> bool:
        """Whether it ever started; one that fails at once has run for 0 s, but somewhere."""
        return bool(self.elapsed_s or self.node)


def from_squeue(text: str) -> dict[str, SchedulerJob]:
    """Return the jobs in a listing of `squeue -r -O` with `SQUEUE_FIELDS`."""
    jobs: dict[str, SchedulerJob] = {}
    for line in text.splitlines():
        words = [word.strip() for word in line.split("|")]
        if len(words) < len(SQUEUE_FIELDS):
            continue
        jobs[words[0]] = _job(words, _seconds(words[4]), _whole(words[6]))
    return jobs


def from_sacct(text: str) -> dict[str, SchedulerJob]:
    """Return the jobs in a listing of `sacct --duplicates` with `SACCT_FIELDS`.

    A job that was requeued stands in it once a start: its newest is what it is, all of them count
    for its time. Elements of an array that wait stand in one line.
    """
    starts: dict[str, list[tuple[str, SchedulerJob]]] = {}
    short_of_memory: set[str] = set()
    for line in text.splitlines():
        words = line.split("|")
        if len(words) < len(SACCT_FIELDS):
            continue
        if words[1].startswith("OUT_OF_MEM"):
            short_of_memory.add(words[0].partition(".")[0])
        if "." in words[0]:
            continue  # A step; what it says of memory, its job does not.
        job = _job(words, float(_whole(words[4])))
        if "[" not in words[0]:
            starts.setdefault(words[0], []).append((words[6], job))
            continue
        for name in elements(words[0]):
            starts.setdefault(name, []).append((words[6], job._replace(job=name)))
    return {name: _newest(found, name in short_of_memory) for name, found in starts.items()}


def elements(job: str) -> Iterator[str]:
    """Yield the ids that `12_[0-3,7%2]` stands for; any other id stands for itself."""
    array, bracket, rest = job.partition("_[")
    if not bracket:
        yield job
        return
    for part in rest.rstrip("]").partition("%")[0].split(","):
        first, dash, last = part.partition("-")
        last, _, step = last.partition(":")
        if not first.isdigit():
            continue
        for index in range(int(first), int(last if dash else first) + 1, int(step or 1)):
            yield f"{array}_{index}"


def _newest(starts: list[tuple[str, SchedulerJob]], out_of_memory: bool) -> SchedulerJob:
    if len(starts) == 1 and not out_of_memory:
        return starts[0][1]
    newest = max(starts, key=lambda start: _whole(start[0]))[1]
    gpu_s = sum(job.gpu_s for _, job in starts)
    return newest._replace(
        restarts=len(starts) - 1,
        gpu_s=gpu_s,
        out_of_memory=out_of_memory or newest.state == "OUT_OF_MEMORY",
    )


def _job(words: list[str], elapsed_s: float, restarts: int = 0) -> SchedulerJob:
    state, gpus = _state(words[1]), _gpus(words[10])
    return SchedulerJob(
        job=words[0],
        state=state,
        reason=_said(words[2]),
        node=_said(words[3]),
        elapsed_s=elapsed_s,
        restarts=restarts,
        exit_code=_said(words[5]),
        partition=_said(words[7]),
        start=_time(words[8]),
        end=_time(words[9]),
        gpus=gpus,
        gpu_s=gpus * elapsed_s,
        limit_s=_seconds(words[11]) or None,
        out_of_memory=state == "OUT_OF_MEMORY",
        is_active=state in ACTIVE,
    )


@lru_cache(4096)
def _state(word: str) -> str:
    return (word.split() or ["UNKNOWN"])[0].rstrip("+")


def _said(word: str) -> str:
    return "" if word in NOWHERE else word


def _time(word: str) -> float | None:
    return float(word) if word.isdigit() else None


def _whole(word: str) -> int:
    return int(word) if word.isdigit() else 0


@lru_cache(4096)
def _gpus(tres: str) -> int:
    found = re.search(r"(?:^|,)gres/gpu=(\d+)", tres)
    return int(found[1]) if found else 0


@lru_cache(4096)
def _seconds(clock: str) -> float:
    """Return the seconds of `days-hours:minutes:seconds`, of which the front may be missing."""
    days, _, rest = clock.rpartition("-")
    seconds = 0
    for part in rest.split(":"):
        seconds = 60 * seconds + _whole(part)
    return float(86_400 * _whole(days) + seconds)
