"""Which jobs a cluster was given for a run: one line each in `jobs.jsonl` of its folder.

Written by whoever submits, as soon as the cluster has said a number. How a job is doing is the
scheduler's to say; what became of the run, its status.
"""

import json
from pathlib import Path
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
        signal_ahead: Seconds before the end of its walltime at which it is told to save.
    """

    job: str
    array: str | None
    stage: StageName
    profile: str
    submitted: float
    user: str
    folder: str
    log: str
    signal_ahead: float = 600.0

    @property
    def error_log(self) -> Path:
        """Where it prints errors, those of its `setup` lines too."""
        return Path(self.log).with_suffix(".err")


def append(run: RunDirectory, record: JobRecord) -> None:
    """Add a job to those of a run, and flush it to the disk.

    Args:
        run: Its folder, made already.
        record: The job.
    """
    append_lines(run.path / JOBS_FILE, (json.dumps(record._asdict()),))


def read(run: RunDirectory) -> list[JobRecord]:
    """Return the jobs of a run, the oldest first; a torn line is left out.

    One that started before its launch could note it has noted itself, and stands there twice.
    """
    try:
        # Not through a Path: a plan reads ten thousand of these.
        lines = read_small(f"{run.path}/{JOBS_FILE}").splitlines()
    except FileNotFoundError:
        return []
    found: dict[str, JobRecord] = {}
    for record in map(_parsed, lines):
        if record is not None:
            found.setdefault(record.job, record)
    return list(found.values())


def _parsed(line: bytes) -> JobRecord | None:
    try:
        record = JobRecord(**from_json(line))
    except (TypeError, ValueError):
        return None
    return record if record.stage in STAGES else None
