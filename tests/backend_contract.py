"""What every place where jobs run must do, written once; `test_contract_*.py` hold each to it.

`Contract` is for all of them: debug, local, slurm. `ProcessContract` is for those where a job is a
process of its own, which can be told to go without its launch: local, slurm. What only a cluster
has (the end of a walltime, preemption, accounts) test_contract_slurm.py adds. Each of these files
asserts the names of the tests that its places are held to, so that none gets lost.
"""

from typing import ClassVar

import pytest

from tests.backend_place import BAD, GOOD, Place
from tests.integration.queue_bench import HELD_AT, STEPS
from tests.lives import call
from tgdp.sweep.logs import log_path
from tgdp.training.run_directory import RunDirectory

ALL_STEPS = list(range(1, STEPS + 1))


class Contract:
    """What all places do; a subclass names its place, and has one as fixture `place`."""

    kind: ClassVar[type[Place]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Kill a launch at each of the moments that the place has."""
        if "moment" in metafunc.fixturenames:
            metafunc.parametrize("moment", self.kind.moments)

    def test_runs_are_trained_and_evaluated_once(self, place: Place) -> None:
        place.complete()

        assert place.states() == {"done": 2}
        for run in place.runs():
            assert place.steps(run) == ALL_STEPS
            assert run.status().attempt == 2
            assert _states(run) == ["running", "trained", "running", "done"]
        assert "Nothing left to run" in place.complete()
        assert set((place.begun() | place.evaluated()).values()) == {1}

    def test_a_failure_keeps_its_traceback_and_waits_for_a_retry(self, place: Place) -> None:
        place.order("fail", BAD)
        place.complete()

        assert (place.state_of(GOOD), place.state_of(BAD)) == ("done", "failed")
        bad = place.run_of(BAD)
        assert bad.status().error == f"ValueError: ratio {BAD} is not to be"
        shown = log_path(bad).read_text()
        assert "raise ValueError" in shown
        assert "and here are details" in shown
        assert place.words(BAD) == ["begin", "end"]

        place.relent("fail")
        place.complete()
        assert place.state_of(BAD) == "failed"
        place.complete("--retry-failed")
        assert place.states() == {"done": 2}
        assert place.steps(bad) == ALL_STEPS

    def test_an_evaluation_waits_for_its_own_training_alone(self, place: Place) -> None:
        place.order("hold", BAD)
        place.launch()
        place.until(lambda: place.held() == 1 and place.state_of(GOOD) == "done")

        assert place.words(GOOD) == ["begin", "end", "evaluate"]
        assert place.words(BAD) == ["begin"]

        place.relent("hold")
        place.settle()
        assert place.words(BAD) == ["begin", "end", "evaluate"]

    def test_no_more_runs_than_asked_for_train_at_once(self, place: Place) -> None:
        place.rows((0.0, 0.25, 0.65))
        place.complete(jobs=1)

        assert place.states() == {"done": 3}
        assert place.most_at_once() == 1

    def test_two_launches_at_once_run_each_science_once(self, place: Place) -> None:
        place.launch()
        place.launch()
        place.settle()

        assert place.states() == {"done": 2}
        assert set(place.begun().values()) == {1}
        assert set(place.evaluated().values()) == {1}

    def test_after_a_launch_was_killed_the_next_one_goes_on(
        self, place: Place, moment: str
    ) -> None:
        place.order("hold")
        place.launch_and_kill(moment)
        place.launch()
        place.until_held()
        assert place.strays() == set()
        place.relent("hold")
        place.settle()

        assert place.states() == {"done": 2}
        assert set(place.evaluated().values()) == {1}
        for run in place.runs():
            assert place.steps(run) == ALL_STEPS
            # What was begun again went on from where it was: nothing is computed twice.
            assert place.begun_at(run) in ([0], [0, HELD_AT])


class ProcessContract(Contract):
    """What places do besides where a job is a process of its own."""

    def test_runs_are_trained_and_evaluated_once(self, place: Place) -> None:
        super().test_runs_are_trained_and_evaluated_once(place)
        # What the jobs printed is found.
        for ratio in (GOOD, BAD):
            words = ("logs", f"toy/{ratio}@0", "--attempt")
            assert f"trains ratio {ratio}" in call(place.results, *words, "1").output
            # The evaluation is another job, with a log of its own.
            assert f"trains ratio {ratio}" not in call(place.results, *words, "2").output

    def test_a_cancelled_run_saves_and_waits_for_the_next_launch(self, place: Place) -> None:
        place.order("hold")
        place.launch()
        place.until_held()

        assert call(place.results, "cancel", f"toy/{BAD}@0", "--yes").exit_code == 0
        place.until(lambda: place.state_of(BAD) == "interrupted")
        assert place.run_of(BAD).status().saved == HELD_AT
        place.relent("hold")
        place.settle()
        assert (place.state_of(GOOD), place.state_of(BAD)) == ("done", "interrupted")

        place.complete()
        assert place.states() == {"done": 2}
        assert place.steps(place.run_of(BAD)) == ALL_STEPS
        assert place.words(BAD) == ["begin", "end", "begin", "end", "evaluate"]

    def test_a_job_that_is_told_to_go_saves_and_goes_on_later(self, place: Place) -> None:
        place.order("hold")
        place.launch()
        place.until_held()
        run = place.run_of(BAD)

        place.tell_to_go(run)
        place.until(lambda: "interrupted" in _states(run))
        place.relent("hold")
        place.settle()
        if not place.comes_back:
            assert place.state_of(BAD) == "interrupted"
            place.complete()

        assert place.states() == {"done": 2}
        assert place.steps(run) == ALL_STEPS
        assert _states(run)[:3] == ["running", "interrupted", "running"]

    def test_a_job_that_dies_without_a_word_goes_on_with_the_next_launch(
        self, place: Place
    ) -> None:
        place.order("die", BAD)
        place.complete()
        assert (place.state_of(GOOD), place.state_of(BAD)) == ("done", "interrupted")

        place.relent("die")
        place.complete()
        assert place.states() == {"done": 2}
        assert place.steps(place.run_of(BAD)) == ALL_STEPS


def names(contract: type[Contract]) -> set[str]:
    """Return the tests that a place is held to."""
    return {name.removeprefix("test_") for name in dir(contract) if name.startswith("test_")}


def _states(run: RunDirectory) -> list[str]:
    return [event["state"] for event in run.events() if event["kind"] == "state"]
