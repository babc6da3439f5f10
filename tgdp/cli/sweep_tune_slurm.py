"""What `tgdp-sweep tune --cluster slurm` checks before anything is submitted."""

from collections.abc import Sequence

from tgdp.cli.sweep_slurm import named_profile, require_pairs
from tgdp.sweep.slurm.check import check, refuse, warnings
from tgdp.sweep.slurm.profile_files import profile_files
from tgdp.sweep.slurm.site import read_site
from tgdp.sweep.stages import Stages
from tgdp.sweep.tune.cluster import ClusterWorkers
from tgdp.sweep.tune.measure import no_gpu, wants_gpu
from tgdp.sweep.tune.task import Task

DEFAULT_AT_ONCE = 4
"""More at a time learn faster, and less from each other."""


def cluster_workers(
    task: Task, name: str | None, jobs: int | None, stages: Stages
) -> tuple[ClusterWorkers, Sequence[str]]:
    """Return who submits the runs of a study, and what need not be wrong but may be.

    Args:
        task: The study.
        name: Of the profile.
        jobs: Runs at once.
        stages: What the jobs of a run do.

    Raises:
        UserError: The profile is not named or not valid, or the cluster would not run its jobs.
    """
    profile = named_profile(name, jobs)
    site = read_site()
    refuse(profile, str(profile_files()[profile.name]), check(profile, site, ("train", "evaluate")))
    if wants_gpu(task.study) and not profile.gpus:
        raise no_gpu(f"profile '{profile.name}', gpus: 0,")
    require_pairs(profile, task.base)
    at_once = jobs or profile.array_parallelism or DEFAULT_AT_ONCE
    said = f"{at_once} trials at once, profile '{profile.name}'."
    workers = ClusterWorkers(task, profile, at_once, site.array_size, stages)
    return workers, (said, *warnings(profile, site))
