"""A folder with a sweep and data, and the launches started in it, with a stand-in for training."""

import json
import os
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
    variants=tuple(Variant(str(r), {"contrastive.mask.ratio": r}) for r in RATIOS), seeds=(0,),
)
'''

RATIOS = (0.0, 0.25, 0.65)


@dataclass
class Bench:
    """A folder with a sweep and data, and the processes started in it."""

    folder: Path
    started: list[subprocess.Popen[str]]

    @property
    def results(self) -> Path:
        """Where the runs are kept."""
        return self.folder / "results"

    def prepare(self, ratios: tuple[float, ...] = RATIOS) -> None:
        """Write the sweep, a row for each mask ratio, and data to train on."""
        self.rows(ratios)
        (self.folder / "orders").mkdir()
        (self.folder / "data").mkdir()
        card = {"format": "tgdp-shards", "version": 1, "name": "toy", "fingerprint": "0" * 16}
        card |= {"num_frames": 16, "sample_rate": 16000}
        card |= {"splits": {"train": 64, "retrieval": 32, "probe_train": 8, "probe_test": 8}}
        card |= {"settings": {}, "num_failures": 0}
        (self.folder / "data" / "dataset.json").write_text(json.dumps(card))

    def rows(self, ratios: tuple[float, ...]) -> None:
        """Write the sweep, a row for each mask ratio."""
        (self.folder / "toy.py").write_text(SWEEP.replace("RATIOS", str(ratios)))

    def order(self, word: str, value: object = 1) -> None:
        """Order something of all jobs, as `fake_training` says what there is."""
        (self.folder / "orders" / word).write_text(str(value))

    def relent(self, word: str) -> None:
        """Take an order back."""
        (self.folder / "orders" / word).unlink()

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

    def kill_all(self) -> None:
        """Kill the launches that are still there."""
        for process in self.started:
            process.kill()
            process.communicate()

    def runs(self) -> list[RunDirectory]:
        """Return every run directory."""
        return [RunDirectory(path) for path in sorted(self.results.glob("runs/*/"))]

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

    def steps(self, run: RunDirectory) -> list[int]:
        """Return the step of every metric event of a run."""
        return [event["step"] for event in run.events() if event["kind"] == "metric"]

    def most_at_once(self) -> int:
        """Return how many jobs were at work together."""
        level = most = 0
        for _, word, _, _ in sorted(self.trace()):
            level += {"begin": 1, "end": -1}.get(word, 0)
            most = max(most, level)
        return most


def end(process: subprocess.Popen[str], patience_s: float = PATIENCE_S) -> tuple[int, str]:
    output, _ = process.communicate(timeout=patience_s)
    return process.returncode, output


def wait_for(
    condition: Callable[[], object],
    found: Callable[[], object] = lambda: "waited in vain",
    patience_s: float = PATIENCE_S,
) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, found()
        time.sleep(0.05)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, [])
    bench.prepare()
    yield bench
    bench.kill_all()
    # What was left behind by a killed sweep ends by itself; the folder must outlive it.
    wait_for(lambda: not bench.status_of("running"))


def two_running(bench: Bench) -> bool:
    return sum(status.step == HELD_AT for status in bench.status_of("running")) == 2
