"""One submission by submitit: tried again while the controller is busy, undone where refused."""

import io
import logging
import shutil
import time
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from tgdp.errors import UserError
from tgdp.sweep.slurm.cluster_job import ClusterJob
from tgdp.sweep.slurm.environment import scrubbed
from tgdp.sweep.slurm.marks import cancel_marked
from tgdp.sweep.slurm.script import python

WAITS_S = (2.0, 10.0, 30.0)
"""Pauses before another try of a submission."""

BUSY = (
    "Socket timed out",
    "Unable to contact slurm controller",
    "Connection refused",
    "Connection timed out",
    "Connection reset",
    "Resource temporarily unavailable",
    "temporarily unable to accept job",
    "Zero Bytes were transmitted",
    "Transport endpoint",
)
"""What `sbatch` says when the same command may well succeed a moment later."""

NUM_TIMEOUTS = 1_000_000
"""How often submitit may queue a job again; how often a run may be is counted by its attempts."""

log = logging.getLogger(__name__)


def submit_jobs(
    folder: Path, parameters: dict[str, Any], jobs: Sequence[ClusterJob]
) -> tuple[str, ...]:
    """Submit jobs, as an array where there are several, and return their numbers.

    Args:
        folder: Folder of the submission, made already.
        parameters: As `script.parameters` has them.
        jobs: What they do.

    Raises:
        UserError: The cluster refuses them; nothing of them is left.
    """
    for pause in (*WAITS_S, None):
        before = set(folder.iterdir())
        said = _try(folder, parameters, jobs)
        if isinstance(said, tuple):
            return said
        _clear_away(folder, before)
        if pause is None or not any(words in said for words in BUSY):
            raise UserError(f"sbatch refuses {parameters['job_name']}: {said}")
        log.warning("sbatch: %s; tried again in %g s", said, pause)
        time.sleep(pause)
        # A request whose answer was lost may have been taken all the same.
        cancel_marked(parameters["comment"])
    raise AssertionError  # the last pause is None


def script_text(folder: Path, parameters: dict[str, Any], number: int) -> str:
    """Return the text that `sbatch` would be given for so many jobs; nothing is written."""
    import submitit

    class Unasked(submitit.SlurmExecutor):
        """Can be made where there is no cluster, too."""

        @classmethod
        def affinity(cls) -> int:
            return 1

    executor: Any = Unasked(folder / "%j", NUM_TIMEOUTS, python=python())
    executor.update_parameters(**parameters)
    if number > 1:
        executor.parameters["map_count"] = number
    return executor._make_submission_file_text(executor._submitit_command_str, "")


def _try(
    folder: Path, parameters: dict[str, Any], jobs: Sequence[ClusterJob]
) -> tuple[str, ...] | str:
    """Return the numbers of the jobs, or what `sbatch` says against them."""
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    # %j and not %a: with %a submitit fails once the array is in the queue.
    executor: Any = submitit.SlurmExecutor(folder / "%j", NUM_TIMEOUTS, python=python())
    executor.update_parameters(**parameters)
    try:
        # submitit prints what `sbatch` says; here it is said once, in one place.
        with scrubbed(), redirect_stderr(io.StringIO()), executor.batch():
            submitted: list[Any] = [executor.submit(job) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        return _words(str(error))
    return tuple(str(job.job_id) for job in submitted)


def _words(text: str) -> str:
    """Return what `sbatch` itself says of what submitit makes of it."""
    lines = [line.strip() for line in text.splitlines() if "sbatch: error:" in line]
    said = [line.partition("sbatch: error:")[2].strip() for line in lines]
    return "; ".join(said) or " ".join(text.split())


def _clear_away(folder: Path, before: set[Path]) -> None:
    for path in set(folder.iterdir()) - before:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
