"""GPU time of runs: as the scheduler counted it, or else as the run's own clock did."""

import json
from collections.abc import Iterable, Sequence

from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.training.run_directory import RunDirectory, Status

HOUR_S = 3600.0


def gpu_seconds(run: RunDirectory, status: Status, jobs: Iterable[SchedulerJob | None]) -> float:
    """Return the GPU-seconds that a run has used, lost work included; 0 on a CPU.

    Args:
        run: Its directory.
        status: Its newest state.
        jobs: What the scheduler knows of each of its jobs, None where it has forgotten one; empty
            for a run on one machine.
    """
    jobs = tuple(jobs)
    counted = sum(job.gpu_s for job in jobs if job is not None)
    if status.seconds <= 0 or (jobs and None not in jobs):
        return counted
    # Both are too little at worst: one leaves out jobs, the other what was before the training.
    return max(counted, status.seconds * _gpus(run, jobs))


def wasted_gpu_seconds(
    run: RunDirectory, status: Status, jobs: Iterable[SchedulerJob | None]
) -> float:
    """Return the GPU-seconds whose work was lost when a job ended, and done again; 0 on a CPU.

    Args:
        run: Its directory.
        status: Its newest state.
        jobs: As for `gpu_seconds`.
    """
    if not status.wasted_seconds:
        return 0.0
    return status.wasted_seconds * _gpus(run, tuple(jobs))


def count_gpus(run: RunDirectory) -> int:
    """Return the GPUs that a run could see on all its nodes; 0 where it has said nothing."""
    try:
        environment = json.loads(run.environment_file.read_bytes())
        return len(environment["gpus"]) * int(environment.get("nodes", 1))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _gpus(run: RunDirectory, jobs: Sequence[SchedulerJob | None]) -> int:
    had = max((job.gpus for job in jobs if job is not None), default=0)
    # The forgotten job may be the one that trained: an evaluation has fewer.
    return count_gpus(run) or had if None in jobs else had or count_gpus(run)
