"""Jobs in the queue by the mark of their submission, where their numbers were never written down.

An answer of `sbatch` may be lost, or whoever submits be killed before it can write the number down.
The mark, `tgdp <folder of the submission> <key>`, stands in the comment of the job.
"""

import json
import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.slurm.command import answer, call

MARK = "tgdp"

FACTS_FILE = "submission.json"
"""In the folder of a submission: by whom and of what it was made, and the jobs that are noted."""

PATIENCE_S, PAUSE_S = 60.0, 1.0
"""How long a job may take to end that was cancelled: it saves first."""

log = logging.getLogger(__name__)


class SilentQueueError(UserError):
    """Nobody can say what is in the queue, so nothing may be submitted."""

    def __init__(self) -> None:
        super().__init__(
            "squeue does not answer, so nobody knows which jobs are in the queue already: nothing "
            "is submitted; try again when the cluster answers"
        )


class Marked(NamedTuple):
    """A job of the queue, or an array, that some harness submitted.

    Attributes:
        job: Its number.
        mark: Its mark.
    """

    job: str
    mark: str


def mark_of(folder: Path, key: object) -> str:
    """Return the mark of what one call of `sbatch` submits.

    Args:
        folder: Folder of the submission.
        key: Which of its calls.
    """
    return f"{MARK} {folder.name} {key}"


def cancel_marked(mark: str) -> None:
    """Cancel the jobs that a lost answer was about."""
    _cancel({found.job for found in _listed() or () if found.mark == mark})


def cancel_unnoted(root: Path) -> None:
    """Cancel the jobs whose launch was killed before it could note them, and wait for their end.

    They would do what the next launch submits, or nothing: submitit puts their work where they look
    for it after `sbatch` has answered.

    Args:
        root: Where the folders of all submissions are; jobs of others are left alone.

    Raises:
        SilentQueueError: The queue is not told.
    """
    listed = _listed()
    if listed is None:
        raise SilentQueueError
    lost = {found.job for found in listed if _is_unnoted(root, found)}
    if not lost:
        return
    log.warning("jobs %s: cancelled, their launch was killed half way", ", ".join(sorted(lost)))
    _cancel(lost)
    deadline = time.monotonic() + PATIENCE_S
    while lost & {found.job for found in _listed() or ()} and time.monotonic() < deadline:
        time.sleep(PAUSE_S)


def _is_unnoted(root: Path, found: Marked) -> bool:
    words = found.mark.split()
    if len(words) != 3 or words[0] != MARK:
        return False
    facts = read_facts(root / words[1])
    # Of a submission that says nothing of its jobs nothing can be said.
    return "jobs" in facts and facts["jobs"].get(words[2]) != found.job


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what a submission says of itself; nothing if it is not there."""
    try:
        return json.loads((folder / FACTS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}


def _listed() -> list[Marked] | None:
    listed = answer("squeue", "--noheader", "--all", "--me", "--format=%F|%k")
    if listed is None:
        return None
    parts = (line.partition("|") for line in listed.splitlines())
    return [Marked(job, mark.strip()) for job, _, mark in parts]


def _cancel(jobs: Collection[str]) -> None:
    if jobs:
        call("scancel", *sorted(jobs))
