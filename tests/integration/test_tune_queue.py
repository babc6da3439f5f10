"""A study with real processes: pruning, Ctrl-C, kill -9 of the command, a second one refused."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from study_bench import StudyBench, end, wait_for

from tests.lives import call
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StudyBench]:
    made = StudyBench(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    wait_for(lambda: not made.runs()["running"])


def test_a_grid_is_run_and_the_trial_that_falls_behind_is_pruned(bench: StudyBench) -> None:
    # It waits until it is asked to stop, so only pruning ends this study.
    code, output = bench.run("--grid", "--prune", "--jobs", "2", FAKE_SLOW="0.05")
    assert code == 0, output
    assert bench.states() == {"complete": 4, "pruned": 1}
    assert bench.runs() == {"done": 4, "interrupted": 1}
    pruned = bench.trials()[4]
    assert pruned.point == {"contrastive.mask.ratio": 0.05}
    # Judged from its second epoch on; it waits after its third.
    assert pruned.pruning in {2, 3}
    assert f"t004: pruned after epoch {pruned.pruning}" in output
    assert "FIGURE" in output

    before = bench.begun()
    code, output = bench.run("--grid", "--prune", "--jobs", "2")
    assert (code, bench.begun()) == (0, before)


def test_a_command_killed_with_9_loses_nothing(bench: StudyBench) -> None:
    process = bench.start("--grid", "--jobs", "2", FAKE_HOLD="1")
    wait_for(bench.held(2))
    process.kill()
    process.wait()
    wait_for(lambda: bench.runs() == {"interrupted": 2})
    assert bench.states() == {"running": 2}

    code, output = bench.run("--grid", "--jobs", "2")
    assert code == 0, output
    assert bench.states() == {"complete": 5}
    assert len({trial.run for trial in bench.trials()}) == 5
    assert sorted(step for _, step in bench.begun()) == [0, 0, 0, 0, 0, 4, 4]


def test_after_ctrl_c_the_same_command_takes_the_trials_up(bench: StudyBench) -> None:
    process = bench.start("--trials", "3", "--jobs", "2", FAKE_HOLD="1")
    wait_for(bench.held(2))
    os.killpg(process.pid, signal.SIGINT)
    code, output = end(process)
    assert code == 130, output
    assert "what ran has saved. The same command again goes on" in output
    assert bench.states() == {"running": 2}

    code, output = bench.run("--trials", "3", "--jobs", "2")
    assert code == 0, output
    assert bench.states() == {"complete": 3}


def test_a_second_command_is_refused_and_changes_nothing(bench: StudyBench) -> None:
    first = bench.start("--grid", "--jobs", "1", FAKE_HOLD="1")
    wait_for(bench.held(1))
    code, output = bench.run("--grid")
    assert code == 2
    assert f"process {first.pid} on {os.uname().nodename} works on study" in " ".join(
        output.split()
    )
    assert bench.states() == {"running": 1}


def test_a_trial_that_fails_stops_no_other(bench: StudyBench) -> None:
    code, output = bench.run("--grid", "--jobs", "2", FAKE_FAIL="0.4")
    assert code == 0, output
    assert bench.states() == {"complete": 4, "failed": 1}
    assert "t002 failed: ValueError: ratio 0.4 is not to be (tgdp-sweep logs " in output
    # Another study in this folder may have a trial of that name.
    assert "toy/t002@0" not in output


def test_a_trial_that_is_cancelled_saves_and_is_failed(bench: StudyBench) -> None:
    process = bench.start("--trials", "2", "--jobs", "1", FAKE_HOLD="1")
    wait_for(bench.held(1))
    call(bench.results, "cancel", "toy/t000@0", "--yes")
    wait_for(lambda: bench.states() == {"failed": 1, "running": 1})
    process.terminate()
    assert end(process)[0] == 130
    first = RunDirectory(bench.results / "runs" / bench.trials()[0].run).status()
    assert (first.state, first.saved) == ("interrupted", 4)


def test_in_this_process_a_study_comes_to_the_same(bench: StudyBench) -> None:
    code, output = bench.run("--grid", "--debug")
    assert code == 0, output
    values = [trial.values for trial in bench.trials()]
    assert [r1 for r1, _ in values] == [0.5, 0.45, 0.4, 0.35, 0.05]
    assert json.loads((bench.results / "sweeps" / "toy.jsonl").read_text().splitlines()[2])[
        "row"
    ] == ("t002")
