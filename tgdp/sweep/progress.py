"""A sweep while it lives: how each run is, how far, where, and what it cost so far."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tgdp.sweep.gpu_hours import HOUR_S
from tgdp.sweep.lifetime import Held, Life, LifeState, look
from tgdp.sweep.plan import Plan, PlannedRun
from tgdp.sweep.slurm.reasons import Reason, explain
from tgdp.sweep.slurm.scheduler import SchedulerJob
from tgdp.sweep.stale import Former, former_runs

IN_WORK: tuple[LifeState, ...] = ("running", "queued")


@dataclass(frozen=True)
class Progress:
    """How a run of a sweep is.

    Attributes:
        planned: The run as the plan has it.
        life: Its state, with what the scheduler says.
        former: The run of another science that its row had before, where it is new itself.
        left_s: Seconds it still needs; None where that is not known.
    """

    planned: PlannedRun
    life: Life
    former: Former | None = None
    left_s: float | None = None

    @property
    def r1(self) -> float | None:
        """R@1 from sound to pictures: of its result, or as last measured in training."""
        # Read only where it is shown: of ten thousand runs few are.
        return _r1(self.planned) if self.state == "done" else self.life.status.r1

    @property
    def state(self) -> LifeState:
        """Its state; `stale` where only a run of former science is there."""
        return "stale" if self.former is not None and self.life.state == "new" else self.life.state

    @property
    def name(self) -> str:
        """Its row and seed, as `0.50@0`."""
        return f"{self.planned.cell.variant.label}@{self.planned.cell.seed}"

    @property
    def gpu_hours(self) -> float:
        """GPU-hours that it has used."""
        return self.life.gpu_s / HOUR_S

    @property
    def wasted_gpu_hours(self) -> float:
        """GPU-hours of them whose work was lost."""
        return self.life.wasted_gpu_s / HOUR_S

    @property
    def reason(self) -> Reason | None:
        """Why it waits, in words."""
        held = self.life.current
        if held is None or held.job is None or (self.state == "done" and not _probes(held)):
            return None
        return explain(held.job)

    @property
    def where(self) -> str:
        """Where it runs, or why it does not; empty where nothing is to be said."""
        held, status = self.life.current, self.life.status
        if held is None or held.job is None:
            here = status.state == "running" and self.state == "running"
            host = "" if status.host == os.uname().nodename else f"{status.host}, "
            return f"{host}process {status.pid}" if here else ""
        job = held.job
        place = f"{job.job} {job.node}".rstrip()
        if self.reason is not None:
            # Some are whole sentences; they stand below the table.
            return f"{place}: {'pending' if ' ' in job.reason else job.reason or 'pending'}"
        is_well = job.is_active or job.state == "COMPLETED"
        # Of a run that is done a probe may have failed; nothing else is worth a word there.
        return (
            place
            if is_well or (self.state == "done" and not _probes(held))
            else (f"{place}: {job.state}")
        )


def _probes(held: Held) -> bool:
    return held.record.stage == "probe"


def follow(
    plans: Sequence[tuple[Plan, str]],
    results: Path,
    ended: dict[str, SchedulerJob] | None = None,
    *,
    queue_alone: bool = False,
) -> list[tuple[Progress, ...]]:
    """Return how every run of some plans is; the scheduler is asked once for all.

    Args:
        plans: Plans, which have read the run directories, each with its base in words, by which
            former runs of its rows are found.
        results: The results folder.
        ended: As in `look`.
        queue_alone: As in `look`.
    """
    runs = [(planned.run, planned.status) for plan, _ in plans for planned in plan.runs]
    lives = iter(look(runs, ended, queue_alone=queue_alone))
    return [_of_plan(plan, words, results, lives) for plan, words in plans]


def _of_plan(plan: Plan, words: str, results: Path, lives: Iterator[Life]) -> tuple[Progress, ...]:
    former = former_runs(results, plan.sweep, words, plan.runs)
    return tuple(
        Progress(
            planned,
            life,
            former.get(planned.cell.signature),
            _seconds_left(plan, planned, life),
        )
        for planned, life in zip(plan.runs, lives, strict=False)
    )


def counts(runs: tuple[Progress, ...]) -> Counter[str]:
    """Return how many runs are in each state."""
    return Counter(run.state for run in runs)


def reasons(runs: tuple[Progress, ...]) -> Mapping[str, tuple[Reason, list[str]]]:
    """Return why runs wait, by SLURM's word, with the names of those that do."""
    found: dict[str, tuple[Reason, list[str]]] = {}
    for run in runs:
        held, reason = run.life.current, run.reason
        if held is not None and held.job is not None and reason is not None:
            found.setdefault(held.job.reason or "None", (reason, []))[1].append(run.name)
    return found


def _seconds_left(plan: Plan, planned: PlannedRun, life: Life) -> float | None:
    status = life.status
    if life.state == "running" and status.samples_per_s and status.total_steps:
        batch = planned.cell.config.training.batch_size
        return (status.total_steps - status.step) * batch / status.samples_per_s
    return plan.seconds_left(planned)


def _r1(planned: PlannedRun) -> float | None:
    try:
        found = json.loads(planned.run.result_file.read_bytes())
        value = found["metrics"][f"retrieval/{planned.cell.config.data.name}/a2v/r1"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(value)
