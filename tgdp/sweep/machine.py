"""What this machine can run at once: cores, GPUs, and the share of each that one job gets."""

import os
from dataclasses import dataclass
from pathlib import Path

DEVICES = Path("/dev")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Read when the numerical libraries load, so they must be set before the process starts."""


@dataclass(frozen=True)
class Slots:
    """How many jobs run at once, and what each of them gets.

    Attributes:
        jobs: Jobs at once.
        threads: CPU threads of one job.
        gpus: For each job, the value of CUDA_VISIBLE_DEVICES; empty on a machine without GPUs.
    """

    jobs: int
    threads: int
    gpus: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return the slots in words."""
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        on = f"GPUs {', '.join(dict.fromkeys(self.gpus))}" if self.gpus else f"{threads} each"
        return f"{self.jobs} job{'s' * (self.jobs != 1)} at once ({on})"


def count_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def list_gpus() -> tuple[str, ...]:
    """Return the GPUs this process may use, as CUDA_VISIBLE_DEVICES names them.

    Asking torch would cost seconds and a CUDA context in the process that only waits.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return tuple(word.strip() for word in visible.split(",") if word.strip() not in {"", "-1"})
    found = [path.name.removeprefix("nvidia") for path in DEVICES.glob("nvidia[0-9]*")]
    # CUDA numbers what it finds from 0, whatever the device files are called.
    return tuple(str(index) for index in range(sum(name.isdigit() for name in found)))


def share_out(jobs: int | None) -> Slots:
    """Return the slots for a number of jobs at once.

    Args:
        jobs: Jobs at once; None for one a GPU, or two on a machine without, if it has the cores.
    """
    gpus, cores = list_gpus(), count_cores()
    jobs = jobs or len(gpus) or min(2, cores)
    shared = tuple(gpus[index % len(gpus)] for index in range(jobs)) if gpus else ()
    return Slots(jobs, max(1, cores // jobs), shared)
