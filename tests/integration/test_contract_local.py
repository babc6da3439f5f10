"""The contract held of this machine: in the process of the command, and in those of its queue."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend_contract import Contract, ProcessContract, names
from tests.backend_place import Place
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow

ANYWHERE = {
    "runs_are_trained_and_evaluated_once",
    "a_failure_keeps_its_traceback_and_waits_for_a_retry",
    "an_evaluation_waits_for_its_own_training_alone",
    "no_more_runs_than_asked_for_train_at_once",
    "two_launches_at_once_run_each_science_once",
    "after_a_launch_was_killed_the_next_one_goes_on",
}

OF_PROCESSES = {
    "a_cancelled_run_saves_and_waits_for_the_next_launch",
    "a_job_that_is_told_to_go_saves_and_goes_on_later",
    "a_job_that_dies_without_a_word_goes_on_with_the_next_launch",
}


class Local(Place):
    """Processes behind the queue of the command."""

    cluster = "local"

    def tell_to_go(self, run: RunDirectory) -> None:
        """Send its process a signal."""
        os.kill(run.status().pid, signal.SIGUSR2)


class Debug(Local):
    """The process of the command, one run after another."""

    cluster = "debug"
    at_once = 1


def opened(kind: type[Place], folder: Path) -> Iterator[Place]:
    place = kind(folder)
    yield place
    place.kill_all()
    # What a killed launch left behind ends by itself; the folder must outlive it.
    place.until(place.is_quiet)


class TestDebug(Contract):
    """All that the place has; no job has a process of its own."""

    kind = Debug

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        yield from opened(Debug, tmp_path)


class TestLocal(ProcessContract):
    """All that the place has; no job has a walltime, and none comes back by itself."""

    kind = Local

    @pytest.fixture
    def place(self, tmp_path: Path) -> Iterator[Place]:
        yield from opened(Local, tmp_path)


def test_each_place_is_held_to_what_it_has() -> None:
    assert names(TestDebug) == ANYWHERE
    assert names(TestLocal) == ANYWHERE | OF_PROCESSES
