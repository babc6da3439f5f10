"""The queue with real processes: slots, failures, Ctrl-C, kill -9, two launches at once."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from queue_bench import HELD_AT, STEPS, Bench, bench, end, two_running, wait_for

__all__ = ["bench"]


def test_no_more_than_the_slots_run_at_once_all_finish_and_none_runs_again(bench: Bench) -> None:
    code, output = bench.run(FAKE_MEET="2")
    assert code == 0, output
    assert bench.states() == {"done": 3}
    assert bench.most_at_once() == 2
    assert "TABLE" in output
    before = bench.begun()
    code, output = bench.run()
    assert (code, bench.begun()) == (0, before)
    assert "Nothing left to run" in output


def test_one_failing_run_stops_no_other_and_is_tried_again_only_when_asked(bench: Bench) -> None:
    code, output = bench.run(FAKE_FAIL="0.25")
    assert code == 1
    assert bench.states() == {"done": 2, "failed": 1}
    assert "Failed: 0.25, seed 0" in output
    assert "ValueError: ratio 0.25 is not to be" in output
    log = Path(output.split("log: ")[1].split("\n")[0])
    assert "and here are details" in log.read_text()

    code, output = bench.run()
    assert code == 1
    assert "failed before: ValueError" in output
    assert bench.states()["failed"] == 1

    code, output = bench.run(2, "local", "--retry-failed")
    assert code == 0, output
    assert bench.states() == {"done": 3}


def test_a_polite_kill_stops_a_sweep_as_ctrl_c_does(bench: Bench) -> None:
    process = bench.start(FAKE_HOLD="1")
    wait_for(lambda: two_running(bench))
    process.terminate()
    code, output = end(process)
    assert code == 130, output
    assert bench.states() == {"interrupted": 2}


def test_after_ctrl_c_the_next_launch_finishes_only_what_is_missing(bench: Bench) -> None:
    process = bench.start(FAKE_HOLD="1")
    wait_for(lambda: two_running(bench))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to every process in it
    code, output = end(process)
    assert code == 130, output
    assert "Stopping: every run ends its step and saves" in output
    assert "The same command again" in output
    assert bench.states() == {"interrupted": 2}
    assert [status.step for status in bench.status_of("interrupted")] == [HELD_AT, HELD_AT]

    code, output = bench.run()
    assert code == 0, output
    assert bench.states() == {"done": 3}
    resumed_at = [step for _, word, _, step in bench.trace() if word == "begin"]
    assert sorted(resumed_at) == [0, 0, 0, HELD_AT, HELD_AT]
    for run in bench.runs():
        steps = [event["step"] for event in run.events() if event["kind"] == "metric"]
        assert steps == list(range(1, STEPS + 1))


def test_a_second_ctrl_c_ends_jobs_that_do_not_listen(bench: Bench) -> None:
    process = bench.start(FAKE_DEAF="1")
    wait_for(lambda: two_running(bench))
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    code, _ = end(process)
    assert code == 130
    assert bench.states() == {"interrupted": 2}


def test_jobs_of_a_sweep_that_was_killed_notice_save_and_end(bench: Bench) -> None:
    process = bench.start(FAKE_HOLD="1")
    wait_for(lambda: two_running(bench))
    process.kill()
    process.wait()
    wait_for(lambda: not bench.status_of("running"))
    assert bench.states() == {"interrupted": 2}
    words = [list(run.events())[-1]["state"] for run in bench.runs()]
    assert words == ["interrupted", "interrupted"]


def test_a_launch_takes_over_what_another_one_leaves_behind(bench: Bench) -> None:
    first = bench.start(FAKE_HOLD="1")
    wait_for(lambda: two_running(bench))
    second = bench.start()
    wait_for(lambda: len(bench.begun()) == 3)
    first.terminate()
    assert end(first)[0] == 130
    code, output = end(second)
    assert code == 0, output
    assert "run by another launch" in output
    assert bench.states() == {"done": 3}


def test_a_job_that_dies_without_a_word_is_reported_and_resumed(bench: Bench) -> None:
    code, output = bench.run(FAKE_DIE="0.65")
    assert code == 1
    assert "its process ended before the run was done" in output
    assert bench.states() == {"done": 2, "interrupted": 1}
    assert bench.run()[0] == 0


@pytest.mark.parametrize("name", ["SIGUSR2", "SIGTERM"])
def test_a_signal_to_a_job_makes_it_save_instead_of_what_submitit_would_do(
    bench: Bench, name: str
) -> None:
    process = bench.start(1, FAKE_HOLD="1")
    wait_for(lambda: [status for status in bench.status_of("running") if status.step == HELD_AT])
    (status,) = bench.status_of("running")
    os.kill(status.pid, getattr(signal, name))
    wait_for(lambda: bench.states()["interrupted"] == 1)
    process.terminate()
    end(process)


def test_debug_and_local_give_the_same_results(bench: Bench) -> None:
    assert bench.run(2, "local")[0] == 0
    local = {run.name: run.result() for run in bench.runs()}
    bench.results.rename(bench.folder / "local")
    code, output = bench.run(1, "debug")
    assert code == 0, output
    assert {run.name: run.result() for run in bench.runs()} == local
    assert bench.most_at_once() <= 2


def test_ctrl_c_stops_a_debug_launch_too(bench: Bench) -> None:
    process = bench.start(1, "debug", FAKE_HOLD="1")
    wait_for(lambda: [status for status in bench.status_of("running") if status.step == HELD_AT])
    os.killpg(process.pid, signal.SIGINT)
    code, output = end(process)
    assert code == 130, output
    assert bench.states() == {"interrupted": 1}
