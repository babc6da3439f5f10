"""A folder with a study and data, and the commands started in it, with a stand-in for training."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.study_runs import card_in
from tgdp.sweep.discover import load_study
from tgdp.sweep.resolve import Words
from tgdp.sweep.state import read_state
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.opening import read_book
from tgdp.sweep.tune.task import make_task
from tgdp.training.run_directory import RunDirectory

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


class StudyBench:
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
