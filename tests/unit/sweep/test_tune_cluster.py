"""Trials as jobs of a cluster whose scheduler is made up: submitted, asked about, left behind."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.study_runs import RATIO, TEMPERATURE, study, task_of
from tgdp.sweep.lifetime import Held, Life
from tgdp.sweep.plan import Plan, PlannedRun
from tgdp.sweep.slurm.jobs import JobRecord
from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.tune import cluster
from tgdp.sweep.tune.cluster import ClusterWorkers
from tgdp.training.run_directory import RunDirectory, Status

RECORD = JobRecord("7", None, "train", "own", 0.0, "me", "folder", "log")

ACTIVE = (Held(RECORD, SchedulerJob("7", "RUNNING", "", is_active=True)),)


class Cluster:
    """What the scheduler is made to say, and what it was asked for."""

    def __init__(self) -> None:
        self.said: tuple[str, str, tuple[Held, ...], int] = ("queued", "", ACTIVE, 0)
        self.submitted: list[list[str]] = []
        self.stopped: list[str] = []
        self.looks = 0

    def submit(self, plan: Plan, *rest: object) -> None:
        """Take note of what is submitted."""
        self.submitted.append([run.cell.variant.label for run in plan.todo()])

    def look(self, runs: Sequence[tuple[RunDirectory, Status]], ended: object) -> tuple[Life, ...]:
        """Say of every run the same."""
        self.looks += 1
        state, cause, jobs, step = self.said
        return tuple(
            Life(run, replace(status, step=step), state, cause, jobs)  # type: ignore[arg-type]
            for run, status in runs
        )

    def stop(self, runs: Sequence[SimpleNamespace]) -> None:
        """Take note of what is cancelled."""
        self.stopped += [job for one in runs for job in one.jobs]


@pytest.fixture
def made_up(monkeypatch) -> Cluster:
    made = Cluster()
    for name in ("submit", "look", "stop"):
        monkeypatch.setattr(cluster, name, getattr(made, name))
    return made


@pytest.fixture
def planned(tmp_path: Path) -> PlannedRun:
    task = task_of(study(), tmp_path)
    return task.planned(task.cell(0, {RATIO: 0.25, TEMPERATURE: 0.1}))


@pytest.fixture
def workers(tmp_path: Path, planned: PlannedRun) -> ClusterWorkers:
    made = ClusterWorkers(task_of(study(), tmp_path), Profile(name="own", walltime="10"), 2, 10)
    made.add(planned)
    made._look_every_s = 0.0
    return made


def phase(workers: ClusterWorkers, planned: PlannedRun) -> str:
    return workers.look(planned.cell.signature).phase


def test_a_run_is_submitted_once_and_followed(made_up, workers, planned) -> None:
    assert workers.turn()
    assert phase(workers, planned) == "waiting"
    made_up.said = ("running", "", ACTIVE, 3)
    workers.turn()
    assert phase(workers, planned) == "running"
    made_up.said = ("done", "", (), 32)
    assert workers.turn()
    assert phase(workers, planned) == "over"
    assert not workers.turn()
    assert made_up.submitted == [["t000"]]


def test_the_scheduler_is_not_asked_at_every_turn(made_up, workers) -> None:
    workers._look_every_s = 15.0
    for _ in range(5):
        workers.turn()
    assert made_up.looks == 1


def test_a_run_whose_jobs_end_early_is_submitted_again_while_it_gets_on(
    made_up, workers, planned
) -> None:
    workers.turn()
    made_up.said = ("interrupted", "timeout", (), 5)
    for _ in range(3):
        workers.turn()
    assert made_up.submitted == [["t000"], ["t000"]]
    # At the same step again: another job would get no further.
    for _ in range(4):
        workers.turn()
    assert len(made_up.submitted) == 2
    assert phase(workers, planned) == "over"


@pytest.mark.parametrize(("cause", "step"), [("cancelled", 5), ("oom", 5), ("timeout", 0)])
def test_a_run_that_would_end_so_again_is_over(
    made_up, workers, planned, cause: str, step: int
) -> None:
    workers.turn()
    made_up.said = ("interrupted", cause, (), step)
    workers.turn()
    # One look that finds no job may be between two jobs.
    assert phase(workers, planned) == "waiting"
    workers.turn()
    work = workers.look(planned.cell.signature)
    assert work.phase == "over"
    assert cause in work.error
    assert len(made_up.submitted) == 1


def test_a_run_that_is_to_end_is_cancelled_and_over_when_its_jobs_are(
    made_up, workers, planned
) -> None:
    made_up.said = ("running", "", ACTIVE, 3)
    workers.turn()
    workers.end(planned.cell.signature)
    workers.turn()
    assert made_up.stopped == ["7"]
    assert phase(workers, planned) == "running"
    made_up.said = ("interrupted", "cancelled", (), 3)
    workers.turn()
    assert workers.look(planned.cell.signature).error == "stopped on request"


def test_a_command_that_stops_submits_nothing_and_waits_for_nothing(made_up, workers) -> None:
    workers.stop.count = 1
    assert not workers.turn()
    assert made_up.submitted == []
