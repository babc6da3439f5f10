"""A study with real processes: pruning, Ctrl-C, kill -9 of the command, a second one refused."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.study_runs import card_in
from tgdp.sweep.discover import load_study
from tgdp.sweep.resolve import Words
from tgdp.sweep.state import read_state
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.opening import read_book
from tgdp.sweep.tune.task import make_task
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent

PATIENCE_S = 90.0

STUDY = """
from tgdp.sweep.tune.declare import Choice, Objective, Study
STUDY = Study(
    "toy", "Does it work?",
    (Choice("contrastive.mask.ratio", (0.5, 0.45, 0.4, 0.35, 0.05)),),
    (Objective("retrieval", "maximize"), Objective("hours", "minimize")),
)
"""

RATIO = "contrastive.mask.ratio"


class Bench:
    """A folder with a study and data, and the commands started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.started: list[subprocess.Popen[str]] = []
        (folder / "toy.py").write_text(STUDY)
        card_in(folder / "data")

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Return a command that has just begun."""
        places = [self.folder / "toy.py", self.folder / "data", self.results]
        trace = str(self.folder / "trace.txt")
        process = subprocess.Popen(
            [sys.executable, str(HERE / "tune_command.py"), *map(str, places), *words],
            env={**os.environ, "PYTHONPATH": str(HERE), "FAKE_TRACE": trace, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, *words: str, **environment: str) -> tuple[int, str]:
        """Return exit code and output of a command that was left to end."""
        return end(self.start(*words, **environment))

    def trials(self) -> list[Trial]:
        """Return the trials, read as another command reads them."""
        words = Words(
            data=self.folder / "data", assignments=("training.steps=32", "training.batch_size=16")
        )
        book = read_book(make_task(load_study(self.folder / "toy.py"), words, 0, self.results))
        return book.trials() if book else []

    def states(self) -> Counter[str]:
        """Return how many trials are in each state."""
        return Counter(trial.state for trial in self.trials())

    def runs(self) -> Counter[str]:
        """Return how many runs are in each state."""
        folders = self.results.glob("runs/*/")
        return Counter(read_state(RunDirectory(path)).state for path in folders)

    def begun(self) -> list[tuple[str, int]]:
        """Return the run and the step of each beginning."""
        file = self.folder / "trace.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(run, int(step)) for run, step in map(str.split, lines)]

    def held(self, number: int) -> Callable[[], bool]:
        """Return what says whether so many runs wait after their first epoch."""
        paths = self.results / "runs"
        return lambda: sum(RunDirectory(p).status().step == 4 for p in paths.glob("*/")) == number


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
    made = Bench(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    wait_for(lambda: not made.runs()["running"])


def test_a_grid_is_run_and_the_trial_that_falls_behind_is_pruned(bench: Bench) -> None:
    # It waits until it is asked to stop, so only pruning ends this study.
    code, output = bench.run("--grid", "--prune", "--jobs", "2", FAKE_SLOW="0.05")
    assert code == 0, output
    assert bench.states() == {"complete": 4, "pruned": 1}
    assert bench.runs() == {"done": 4, "interrupted": 1}
    pruned = bench.trials()[4]
    assert pruned.point == {RATIO: 0.05}
    assert pruned.pruning == 12
    assert "t004: pruned at step 12" in output
    assert "FIGURE" in output

    before = bench.begun()
    code, output = bench.run("--grid", "--prune", "--jobs", "2")
    assert (code, bench.begun()) == (0, before)


def test_a_command_killed_with_9_loses_nothing(bench: Bench) -> None:
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


def test_after_ctrl_c_the_same_command_takes_the_trials_up(bench: Bench) -> None:
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


def test_a_second_command_is_refused_and_changes_nothing(bench: Bench) -> None:
    first = bench.start("--grid", "--jobs", "1", FAKE_HOLD="1")
    wait_for(bench.held(1))
    code, output = bench.run("--grid")
    assert code == 2
    assert f"process {first.pid} on {os.uname().nodename} works on study" in " ".join(
        output.split()
    )
    assert bench.states() == {"running": 1}


def test_a_trial_that_fails_stops_no_other(bench: Bench) -> None:
    code, output = bench.run("--grid", "--jobs", "2", FAKE_FAIL="0.4")
    assert code == 0, output
    assert bench.states() == {"complete": 4, "failed": 1}
    assert "t002 failed: ValueError: ratio 0.4 is not to be (tgdp-sweep logs toy/t002@0)" in output


def test_in_this_process_a_study_comes_to_the_same(bench: Bench) -> None:
    code, output = bench.run("--grid", "--debug")
    assert code == 0, output
    values = [trial.values for trial in bench.trials()]
    assert [r1 for r1, _ in values] == [0.5, 0.45, 0.4, 0.35, 0.05]
    assert json.loads((bench.results / "sweeps" / "toy.jsonl").read_text().splitlines()[2])[
        "row"
    ] == ("t002")
