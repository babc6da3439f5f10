"""Trials as jobs of a cluster whose scheduler is made up: submitted, asked about, left behind."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.study_runs import RATIO, TEMPERATURE, study, task_of, write_run
from tgdp.sweep.lifetime import Held, Life
from tgdp.sweep.plan import Plan, PlannedRun
from tgdp.sweep.slurm.jobs import JobRecord, append
from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.sweep.slurm.marks import SilentQueueError
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.tune import cluster
from tgdp.sweep.tune.cluster import ClusterWorkers
from tgdp.training.run_directory import RunDirectory, State, Status

RECORD = JobRecord("7", None, "train", "own", 0.0, "me", "folder", "log")

LOST = (Held(RECORD, None),)
"""A job that nobody knows."""

ACTIVE = (Held(RECORD, SchedulerJob("7", "RUNNING", "", is_active=True)),)


class Cluster:
    """What the scheduler is made to say, and what it was asked for."""

    def __init__(self) -> None:
        self.said: tuple[str, str, tuple[Held, ...], int] = ("queued", "", ACTIVE, 0)
        self.is_sure = True
        self.submitted: list[list[str]] = []
        self.stopped: list[str] = []
        self.noted: tuple[JobRecord, ...] = ()
        self.looks = 0

    def submit(self, plan: Plan, *rest: object) -> None:
        """Take note of what is submitted."""
        self.submitted.append([run.cell.variant.label for run in plan.todo()])
        for run in plan.todo():
            run.run.create("seed: 0")
            for record in self.noted:
                append(run.run, record)

    def look(self, runs: Sequence[tuple[RunDirectory, Status]], ended: object) -> tuple[Life, ...]:
        """Say of every run the same."""
        self.looks += 1
        state, cause, jobs, step = self.said
        return tuple(
            Life(run, replace(status, step=step), state, cause, jobs, self.is_sure)  # type: ignore[arg-type]
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


def test_of_a_job_that_failed_before_tgdp_began_slurm_tells(made_up, workers, planned) -> None:
    workers.turn()
    job = SchedulerJob("7", "FAILED", node="node1", exit_code="127:0")
    made_up.said = ("failed", "failed", (Held(RECORD, job),), 0)
    workers.turn()
    work = workers.look(planned.cell.signature)
    assert work.phase == "over"
    assert work.error == "its job ended before tgdp began (FAILED, exit code 127)"


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


@pytest.mark.parametrize("state", ["new", "interrupted", "failed"])
def test_a_run_is_not_over_because_the_queue_is_silent(
    made_up, workers, planned, state: str
) -> None:
    workers.turn()
    made_up.is_sure = False
    # `failed` as one of its jobs ended: the run has said nothing of the kind.
    made_up.said = (state, state if state == "failed" else "", LOST, 0)
    for _ in range(5):
        workers.turn()
    assert phase(workers, planned) == "waiting"
    made_up.is_sure = True
    made_up.said = ("interrupted", "timeout", (), 0)
    workers.turn()
    # None of the silent looks counts.
    assert phase(workers, planned) == "waiting"
    workers.turn()
    assert phase(workers, planned) == "over"


def test_a_run_that_is_to_end_is_not_over_while_the_queue_is_silent(
    made_up, workers, planned
) -> None:
    workers.turn()
    workers.end(planned.cell.signature)
    made_up.is_sure, made_up.said = False, ("interrupted", "", LOST, 3)
    workers.turn()
    assert phase(workers, planned) == "waiting"


@pytest.mark.parametrize("state", ["done", "failed", "diverged"])
def test_what_a_run_says_of_its_end_needs_no_queue(
    tmp_path: Path, made_up, workers, planned, state: State
) -> None:
    workers.turn()
    write_run(task_of(study(), tmp_path), dict(planned.cell.variant.changes), state)
    made_up.is_sure, made_up.said = False, (state, "", LOST, 3)
    workers.turn()
    assert phase(workers, planned) == "over"


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    made = SimpleNamespace(now=100.0)
    monkeypatch.setattr(cluster, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def many(number: int, job: SchedulerJob | None) -> tuple[Held, ...]:
    return tuple(Held(RECORD._replace(job=f"7_{index}"), job) for index in range(number))


@pytest.mark.parametrize(("number", "looks"), [(50, 2), (51, 1)])
def test_to_end_a_run_is_prompt_but_asks_politely_about_many_jobs(
    made_up, workers, planned, clock, number: int, looks: int
) -> None:
    workers._look_every_s = 15.0
    made_up.said = ("queued", "", many(number, ACTIVE[0].job), 0)
    workers.turn()
    workers.end(planned.cell.signature)
    clock.now += 14.9
    workers.turn()
    assert made_up.looks == looks
    clock.now += 0.2
    workers.turn()
    assert made_up.looks == 2
    assert len(made_up.stopped) == number


def test_jobs_that_a_silent_queue_may_hold_are_asked_about_politely(
    made_up, workers, planned, clock
) -> None:
    made_up.is_sure, made_up.said = False, ("new", "", many(51, None), 0)
    workers.turn()
    workers.end(planned.cell.signature)
    clock.now += 14.9
    workers.turn()
    assert made_up.looks == 1


@pytest.mark.parametrize(("number", "looks"), [(50, 1), (51, 0)])
def test_a_submission_is_a_question_about_the_jobs_that_it_finds(
    made_up, workers, clock, number: int, looks: int
) -> None:
    made_up.noted = tuple(held.record for held in many(number, None))
    workers.turn()
    assert (len(made_up.submitted), made_up.looks) == (1, looks)
    clock.now += 15.0
    workers.turn()
    assert made_up.looks == looks + 1


def test_while_many_jobs_are_in_the_queue_a_new_run_waits_for_the_next_question(
    tmp_path: Path, made_up, workers, clock
) -> None:
    made_up.said = ("queued", "", many(51, ACTIVE[0].job), 0)
    workers.turn()
    task = task_of(study(), tmp_path)
    workers.add(task.planned(task.cell(1, {RATIO: 0.5, TEMPERATURE: 0.1})))
    workers.turn()
    assert made_up.submitted == [["t000"]]
    clock.now += 15.0
    workers.turn()
    assert made_up.submitted == [["t000"], ["t001"]]


def test_a_silent_queue_holds_a_submission_up_and_ends_no_study(
    made_up: Cluster, workers: ClusterWorkers, planned: PlannedRun, monkeypatch
) -> None:
    def silent(*words: object) -> None:
        raise SilentQueueError

    monkeypatch.setattr(cluster, "submit", silent)
    workers.add(planned)
    assert workers.turn()
    assert (made_up.submitted, workers.look(planned.cell.signature).phase) == ([], "waiting")

    monkeypatch.setattr(cluster, "submit", made_up.submit)
    workers._asked_at = -math.inf
    workers.turn()
    assert len(made_up.submitted) == 1
