"""GPU time of runs: as the scheduler counted it, or else as the run's own clock did."""

import json
from collections.abc import Iterable

from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.training.run_directory import RunDirectory, Status

HOUR_S = 3600.0


def gpu_seconds(run: RunDirectory, status: Status, jobs: Iterable[SchedulerJob]) -> float:
    """Return the GPU-seconds that a run has used, lost work included; 0 on a CPU.

    Args:
        run: Its directory.
        status: Its newest state.
        jobs: What the scheduler knows of its jobs; empty for a run on one machine.
    """
    counted = [job.gpu_s for job in jobs]
    if counted or status.seconds <= 0:
        return sum(counted)
    return status.seconds * count_gpus(run)


def wasted_gpu_seconds(run: RunDirectory, status: Status, jobs: Iterable[SchedulerJob]) -> float:
    """Return the GPU-seconds whose work was lost when a job ended, and done again; 0 on a CPU.

    Args:
        run: Its directory.
        status: Its newest state.
        jobs: As for `gpu_seconds`.
    """
    if not status.wasted_seconds:
        return 0.0
    gpus = max((job.gpus for job in jobs), default=0) or count_gpus(run)
    return status.wasted_seconds * gpus


def count_gpus(run: RunDirectory) -> int:
    """Return the GPUs that a run could see on all its nodes; 0 where it has said nothing."""
    try:
        environment = json.loads(run.environment_file.read_bytes())
        return len(environment["gpus"]) * int(environment.get("nodes", 1))
    except (OSError, ValueError, KeyError, TypeError):
        return 0
