"""Which jobs a cluster was given for a run: one line each in `jobs.jsonl` of its folder.

Written by whoever submits, as soon as the cluster has said a number. How a job is doing is the
scheduler's to say; what became of the run, its status.
"""

import json
from typing import Literal, NamedTuple, get_args

from pydantic_core import from_json

from tgdp.data.files import append_lines, read_small
from tgdp.training.run_directory import RunDirectory

StageName = Literal["train", "evaluate", "probe"]

JOBS_FILE = "jobs.jsonl"

STAGES: tuple[StageName, ...] = get_args(StageName)
"""In the order in which they are done."""


class JobRecord(NamedTuple):
    """A job that was submitted for a run; a tuple, for there may be ten thousands.

    Attributes:
        job: Number as SLURM says it: `123`, or `123_4` for an element of an array.
        array: Number of the array; None for a job of its own.
        stage: What it does.
        profile: Name of the profile it was submitted with.
        submitted: Unix time, seconds.
        user: Who submitted it.
        folder: Folder of the submission: its snapshot is named there, and its logs lie there.
        log: What its first rank printed.
    """

    job: str
    array: str | None
    stage: StageName
    profile: str
    submitted: float
    user: str
    folder: str
    log: str


def append(run: RunDirectory, record: JobRecord) -> None:
    """Add a job to those of a run, and flush it to the disk.

    Args:
        run: Its folder, made already.
        record: The job.
    """
    append_lines(run.path / JOBS_FILE, (json.dumps(record._asdict()),))


def read(run: RunDirectory) -> list[JobRecord]:
    """Return the jobs of a run, the oldest first; a torn line is left out."""
    try:
        # Not through a Path: a plan reads ten thousand of these.
        lines = read_small(f"{run.path}/{JOBS_FILE}").splitlines()
    except FileNotFoundError:
        return []
    records = (_parsed(line) for line in lines)
    return [record for record in records if record is not None]


def _parsed(line: bytes) -> JobRecord | None:
    try:
        record = JobRecord(**from_json(line))
    except (TypeError, ValueError):
        return None
    return record if record.stage in STAGES else None
