"""Training and evaluation as two jobs of the queue: stopped, killed, failed in between."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from queue_bench import Bench, bench, end, wait_for

__all__ = ["bench"]


def test_a_run_is_evaluated_by_a_job_of_its_own_before_another_run_begins(bench: Bench) -> None:
    code, output = bench.run(1)
    assert code == 0, output
    words = [(word, run) for _, word, run, _ in bench.trace()]
    runs = [run for word, run in words if word == "begin"]
    expected = [(word, run) for run in runs for word in ("begin", "end", "evaluate")]
    assert words == expected
    assert len(set(runs)) == 3
    for run in bench.runs():
        states = [event["state"] for event in run.events() if event["kind"] == "state"]
        assert states == ["running", "trained", "running", "done"]


def test_of_a_failed_evaluation_the_evaluation_alone_is_tried_again(bench: Bench) -> None:
    code, output = bench.run(FAKE_BLIND="0.25")
    assert code == 1
    assert bench.states() == {"done": 2, "failed": 1}
    assert "ValueError: nothing to see of 0.25" in output
    log = Path(output.split("log: ")[1].split("\n")[0])
    assert "in evaluate" in log.read_text()
    assert bench.run()[0] == 1  # it is left alone

    before = bench.begun()
    code, output = bench.run(2, "local", "--retry-failed")
    assert code == 0, output
    assert bench.states() == {"done": 3}
    assert bench.begun() == before
    assert sorted(bench.evaluated().values()) == [1, 1, 2]


def test_an_evaluation_that_dies_without_a_word_is_reported_and_done_again(bench: Bench) -> None:
    code, output = bench.run(FAKE_FAINT="0.65")
    assert code == 1
    assert "its process ended before the run was done" in output
    assert bench.states() == {"done": 2, "trained": 1}
    before = bench.begun()
    assert bench.run()[0] == 0
    assert (bench.states(), bench.begun()) == ({"done": 3}, before)


@pytest.mark.parametrize("polite", [True, False])
def test_a_sweep_stopped_or_killed_in_an_evaluation_goes_on_with_it(
    bench: Bench, polite: bool
) -> None:
    process = bench.start(FAKE_LINGER="1")
    wait_for(lambda: len(bench.evaluated()) == 2)
    if polite:
        process.terminate()
        assert end(process)[0] == 130
    else:
        process.kill()
        process.wait()
        wait_for(lambda: not bench.status_of("running"))
    assert bench.states() == {"trained": 2}
    before = bench.begun()
    code, output = bench.run()
    assert code == 0, output
    assert bench.states() == {"done": 3}
    assert set((bench.begun() | before).values()) == {1}


def test_a_launch_takes_over_an_evaluation_that_another_one_leaves_behind(bench: Bench) -> None:
    first = bench.start(FAKE_LINGER="1")
    wait_for(lambda: len(bench.evaluated()) == 2)
    second = bench.start()
    wait_for(lambda: len(bench.begun()) == 3)
    first.terminate()
    assert end(first)[0] == 130
    code, output = end(second)
    assert code == 0, output
    assert bench.states() == {"done": 3}
    assert set(bench.begun().values()) == {1}
