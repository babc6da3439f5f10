"""The queue with real processes: slots, failures, Ctrl-C, kill -9, two launches at once."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tgdp.sweep.state import read_state
from tgdp.training.run_directory import RunDirectory, Status

HERE = Path(__file__).parent
PATIENCE_S = 40.0
STEPS, HELD_AT = 10, 3
"""Steps of a run, and the step at which it waits to be interrupted if it is told to."""

SWEEP = '''"""A sweep for tests."""
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep(
    name="toy", title="Toy", question="Does the queue work?", source="none", metrics=RETRIEVAL,
    variants=tuple(Variant(str(r), {"contrastive.mask.ratio": r}) for r in (0.0, 0.25, 0.65)),
    seeds=(0,),
)
'''


@dataclass
class Bench:
    """A folder with a sweep and data, and the processes started in it."""

    folder: Path
    started: list[subprocess.Popen[str]]

    @property
    def results(self) -> Path:
        """Where the runs are kept."""
        return self.folder / "results"

    def start(
        self,
        jobs: int = 2,
        cluster: str = "local",
        *more: str,
        **environment: str,
    ) -> subprocess.Popen[str]:
        """Return a launch that has just begun."""
        command = [sys.executable, str(HERE / "sweep_command.py"), str(self.folder / "toy.py")]
        command += [str(self.folder / "data"), str(self.results), cluster, str(jobs)]
        trace = str(self.folder / "trace.txt")
        process = subprocess.Popen(
            [*command, *more],
            env={**os.environ, "PYTHONPATH": str(HERE), "FAKE_TRACE": trace, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that it can be sent what a terminal sends
        )
        self.started.append(process)
        return process

    def run(self, *words: object, **environment: str) -> tuple[int, str]:
        """Return the exit code and the output of a launch that was left to end."""
        process = self.start(*words, **environment)  # type: ignore[arg-type]
        return end(process)

    def runs(self) -> list[RunDirectory]:
        """Return every run directory."""
        return [RunDirectory(path) for path in sorted(self.results.glob("runs/*"))]

    def states(self) -> Counter[str]:
        """Return how many runs are in each state."""
        return Counter(read_state(run).state for run in self.runs())

    def status_of(self, state: str) -> list[Status]:
        """Return the statuses of the runs in one state."""
        return [status for run in self.runs() if (status := read_state(run)).state == state]

    def trace(self) -> list[tuple[float, str, str, int]]:
        """Return what the jobs noted: time, word, run, step."""
        file = self.folder / "trace.txt"
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [(float(t), word, run, int(s)) for t, word, run, s in map(str.split, lines)]

    def begun(self) -> Counter[str]:
        """Return how often each run was begun."""
        return Counter(run for _, word, run, _ in self.trace() if word == "begin")

    def evaluated(self) -> Counter[str]:
        """Return how often the evaluation of each run was begun."""
        return Counter(run for _, word, run, _ in self.trace() if word == "evaluate")

    def most_at_once(self) -> int:
        """Return how many jobs were at work together."""
        level = most = 0
        for _, word, _, _ in sorted(self.trace()):
            level += {"begin": 1, "end": -1}.get(word, 0)
            most = max(most, level)
        return most


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=PATIENCE_S)
    return process.returncode, output


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "toy.py").write_text(SWEEP)
    (tmp_path / "data").mkdir()
    card = {"format": "tgdp-shards", "version": 1, "name": "toy", "fingerprint": "0" * 16}
    card |= {"splits": {"train": 64, "retrieval": 32}, "num_frames": 16, "sample_rate": 16000}
    card |= {"settings": {}, "num_failures": 0}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(card))
    bench = Bench(tmp_path, [])
    yield bench
    for process in bench.started:
        process.kill()
        process.communicate()
    # What was left behind by a killed sweep ends by itself; the folder must outlive it.
    wait_for(lambda: not bench.status_of("running"))


def two_running(bench: Bench) -> bool:
    return sum(status.step == HELD_AT for status in bench.status_of("running")) == 2


def test_no_more_than_the_slots_run_at_once_all_finish_and_none_runs_again(bench: Bench) -> None:
    code, output = bench.run()
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


def test_two_launches_at_once_run_each_science_once(bench: Bench) -> None:
    first, second = bench.start(), bench.start()
    assert [end(first)[0], end(second)[0]] == [0, 0]
    assert bench.states() == {"done": 3}
    assert set(bench.begun().values()) == {1}


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
