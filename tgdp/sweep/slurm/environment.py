"""Submission in an environment that says nothing of another job, or of other options.

`SBATCH_PARTITION` in a shell silently beats the partition of a script, and inside a job the numbers
of that job would become those of the new one.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager

SCRUBBED = re.compile(
    r"(SLURM|SBATCH|SRUN|SALLOC|SUBMITIT|PMI|PMIX|TORCHELASTIC)_.*"
    r"|RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|NODE_RANK|GROUP_RANK|MASTER_ADDR|MASTER_PORT"
)

KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER"})
"""Where SLURM's commands learn which cluster is meant."""


@contextmanager
def scrubbed() -> Generator[None, None, None]:
    """Take away what would change a submission or leak into its jobs, and give it back after."""
    taken = {name: os.environ.pop(name) for name in list(os.environ) if is_scrubbed(name)}
    try:
        yield
    finally:
        os.environ.update(taken)


def is_scrubbed(name: str) -> bool:
    """Return whether a variable is taken away around a submission."""
    return name not in KEPT and SCRUBBED.fullmatch(name) is not None
