"""Waiting for jobs ends when the queue says that there is none, not when it falls silent."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.fake_runs import write_run
from tests.fake_scheduler import FakeScheduler, open_scheduler, queued
from tests.lives import noted, submitted
from tgdp.sweep.plan import make_plan
from tgdp.sweep.slurm import wait

BUSY = "slurm_load_jobs error: Unable to contact slurm controller"

Waits = Callable[..., list[str]]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


@pytest.fixture
def waits(tmp_path, fake: FakeScheduler, toy, monkeypatch) -> Waits:
    """Wait for one run with something happening in each pause; return what was shown."""

    def run(state, *happenings: Callable[[], None]) -> list[str]:
        (cell, *_) = noted(tmp_path)
        submitted(tmp_path, cell, "7", state)
        pauses = iter(happenings)
        monkeypatch.setattr(wait, "time", SimpleNamespace(sleep=lambda _: next(pauses)()))
        monkeypatch.setattr("tgdp.sweep.slurm.command.WAITS_S", ())
        shown: list[str] = []
        plan = make_plan(toy, (cell,), tmp_path)
        wait.wait(plan.runs, lambda look: shown.append(str(look)))
        assert next(pauses, None) is None
        return shown

    return run


def nothing() -> None:
    pass


def test_a_silent_queue_is_no_empty_one(waits, fake) -> None:
    def answers() -> None:
        fake.fail("squeue", "", times=0)

    fake.fail("squeue", BUSY)
    shown = waits(None, *[nothing] * 4, answers, *[nothing] * 3)
    assert shown == [
        "0 of 1 runs done; 0 jobs running, 0 pending; the queue does not answer",
        "0 of 1 runs done; 0 jobs running, 0 pending",
    ]


def test_silence_between_two_quiet_looks_counts_anew(waits, fake) -> None:
    def falls_silent() -> None:
        fake.fail("squeue", BUSY, times=1)

    waits(None, nothing, falls_silent, nothing, *[nothing] * 3)


def test_a_silent_queue_may_hold_another_try_of_a_run_that_failed(waits, fake) -> None:
    def answers() -> None:
        fake.fail("squeue", "", times=0)

    fake.fail("squeue", BUSY)
    waits("failed", *[nothing] * 4, answers)


def test_what_is_done_is_waited_for_no_longer(waits, tmp_path, fake) -> None:
    def finishes() -> None:
        write_run(tmp_path, noted(tmp_path)[0])
        fake.queue()

    fake.queue(queued("7"))
    assert waits(None, nothing, finishes) == [
        "0 of 1 runs done; 1 jobs running, 0 pending",
        "1 of 1 runs done; 0 jobs running, 0 pending",
    ]
