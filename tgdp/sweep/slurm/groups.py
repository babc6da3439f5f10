"""What of a plan a cluster is given: runs that need the same stages, in arrays it accepts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tgdp.config import dump, override
from tgdp.sweep.job import Job
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.probe_job import ProbeJob
from tgdp.sweep.slurm.cluster_job import ClusterJob
from tgdp.sweep.slurm.jobs import STAGES, JobRecord, StageName, read
from tgdp.sweep.slurm.marks import SilentQueueError
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.scheduler import ask_about
from tgdp.sweep.stages import Stages
from tgdp.sweep.state import is_held


class Group(NamedTuple):
    """Runs that are submitted together, an element of an array each.

    Attributes:
        runs: The runs, in the order of the plan.
        stages: What each of them needs, in order.
        after: Jobs in the queue, for one of which the first of these waits; empty for none.
    """

    runs: tuple[PlannedRun, ...]
    stages: tuple[StageName, ...]
    after: tuple[str, ...] = ()


class Chosen(NamedTuple):
    """What is free to be submitted, and what is not.

    Attributes:
        free: Runs that nobody works on.
        taken: Why each of the others is left alone: its job, or that it runs elsewhere.
        behind: What runs with a job in the queue need after it, and no job is there for.
    """

    free: tuple[PlannedRun, ...]
    taken: dict[str, str]
    behind: tuple[Group, ...] = ()


def choose(runs: Iterable[PlannedRun]) -> Chosen:
    """Return which runs are free: none whose job is in the queue, or that a process works on.

    Args:
        runs: What a plan has left.

    Raises:
        SilentQueueError: The queue does not answer.
    """
    runs = tuple(runs)
    records = {run.cell.signature: read(run.run) for run in runs if run.run.path.is_dir()}
    known = ask_about(job for jobs in records.values() for job in jobs)
    if not known.queue_answered:
        raise SilentQueueError
    taken: dict[str, str] = {}
    behind: list[Group] = []
    for run in runs:
        name, jobs = run.cell.signature, records.get(run.cell.signature, [])
        active = [job for job in jobs if job.job in known and known[job.job].is_active]
        if active:
            taken[name] = f"job {', '.join(job.job for job in active)}"
            behind += _behind(run, active)
        elif run.state == "running" and (not jobs or is_held(run.run)):
            # What a cluster killed says `running` for a while yet; its jobs are gone, and its lock.
            taken[name] = f"runs on {run.status.host}"
    free = tuple(run for run in runs if run.cell.signature not in taken)
    return Chosen(free, taken, tuple(behind))


def _behind(run: PlannedRun, active: Sequence[JobRecord]) -> Iterator[Group]:
    """Yield what a launch that was refused or killed half way left out behind a job of a run."""
    last = max(active, key=lambda job: STAGES.index(job.stage))
    later = STAGES[STAGES.index(last.stage) + 1 :]
    stages = tuple[StageName, ...](stage for stage in stages_left(run) if stage in later)
    if stages:
        after = tuple(job.job for job in active if job.stage == last.stage)
        yield Group((run,), stages, after)


def stages_left(planned: PlannedRun) -> tuple[StageName, ...]:
    """Return the stages that a run still needs."""
    probe: tuple[StageName, ...] = ("probe",) if planned.missing else ()
    if planned.state == "done":
        return probe
    first: tuple[StageName, ...] = () if planned.status.is_trained else ("train",)
    return (*first, "evaluate", *probe)


def make_groups(runs: Iterable[PlannedRun], largest: int) -> list[Group]:
    """Return the runs in groups, none larger than an array may be.

    Args:
        runs: Those that are free.
        largest: Elements of an array.
    """
    alike: dict[tuple[StageName, ...], list[PlannedRun]] = {}
    for run in runs:
        if stages := stages_left(run):
            alike.setdefault(stages, []).append(run)
    return [
        Group(tuple(part), stages)
        for stages, members in alike.items()
        for part in _parts(members, largest)
    ]


def make_jobs(
    group: Group, stage: StageName, profile: Profile, stages: Stages, former: Sequence[str] = ()
) -> list[ClusterJob]:
    """Return the jobs of one stage of a group.

    Args:
        group: Whose.
        stage: Which.
        profile: With which they are submitted.
        stages: What the jobs of a run do.
        former: For successors: the job that each succeeds.
    """
    own = profile.of(stage)
    restarts = own.restarts if own.requeue == "auto" else 0
    before = former or [""] * len(group.runs)
    return [
        ClusterJob(_work(run, stage, own, stages), stage, profile.name, restarts, job)
        for run, job in zip(group.runs, before, strict=True)
    ]


def config_text(planned: PlannedRun, profile: Profile) -> str:
    """Return the configuration of a run as its jobs get it."""
    config = planned.cell.config
    return dump(override(config, {"runtime.threads": config.runtime.threads or profile.cpus}))


def _work(
    planned: PlannedRun, stage: StageName, profile: Profile, stages: Stages
) -> Job | ProbeJob:
    folder, text = str(planned.run.path.resolve()), config_text(planned, profile)
    if stage == "probe":
        return ProbeJob(folder, text, planned.missing, stages.probe.execute)
    part = stages.train if stage == "train" else stages.evaluate
    return Job(folder, text, part.execute, settled=part.settled, leaves=part.leaves)


def _parts(members: list[PlannedRun], largest: int) -> Iterator[list[PlannedRun]]:
    for first in range(0, len(members), largest):
        yield members[first : first + largest]
