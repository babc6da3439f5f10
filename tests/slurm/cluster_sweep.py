"""A sweep of two runs on a test cluster, as the command line submits it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testbed_session import Testbed

from tests.integration.fake_training import STAGES
from tgdp.cli.sweep_run import Wanted
from tgdp.cli.sweep_slurm import on_slurm
from tgdp.cli.sweep_start import Where
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant, expand
from tgdp.sweep.resolve import Words, resolve_base
from tgdp.sweep.slurm import jobs
from tgdp.training.run_directory import RunDirectory

INTEGRATION = Path(__file__).parents[1] / "integration"
"""Where the stand-in for training is."""

STEPS = 8

RATIOS = (0.0, 0.25)

SIGNAL_AHEAD_S = 60

PROFILE = f"""\
partition: main
cpus: 1
memory: 500M
walltime: 30
signal_ahead: {SIGNAL_AHEAD_S}
"""


class ClusterSweep:
    """A sweep whose runs do next to nothing, and whose folder is a test's own.

    Args:
        folder: Where all of it lies.
        bed: The cluster; None where its commands are made up.
    """

    def __init__(self, folder: Path, bed: Testbed | None = None) -> None:
        self.folder = folder
        self.bed = bed
        self.results = folder / "results"
        rows = tuple(Variant(str(ratio), {"contrastive.mask.ratio": ratio}) for ratio in RATIOS)
        self.sweep = Sweep("toy", "Toy", "Does it work?", "none", rows, RETRIEVAL, seeds=(0,))
        self.words = Words(data=_data(folder), assignments=(f"training.steps={STEPS}",))

    def profile(self, text: str = "") -> None:
        """Write the profile `own`; fields in the text come on top of the usual ones."""
        write_profile(self.folder, text)

    def submit(self, **fields: Any) -> int:
        """Do what `tgdp-sweep run toy.py --cluster slurm --profile own` does."""
        retry = fields.pop("retry", frozenset())
        asked = Where("slurm", profile="own", **fields)
        return on_slurm(self.sweep, Wanted(self.words, self.results, retry), asked, STAGES)

    def runs(self) -> list[RunDirectory]:
        """Return its run directories, which need not exist."""
        base = resolve_base(self.sweep, self.words, self.results)
        cells = expand(self.sweep, base.config, None)
        return [RunDirectory(self.results / "runs" / cell.signature) for cell in cells]

    def numbers(self, stage: str) -> list[str]:
        """Return the number of the newest job that each run has for a stage."""
        return [
            [job.job for job in jobs.read(run) if job.stage == stage][-1] for run in self.runs()
        ]

    def go(self) -> None:
        """Let the training go on after the step at which it waits."""
        (self.folder / "orders" / "hold").unlink(missing_ok=True)

    def slow_start(self, begins: Path, goes: Path) -> None:
        """Let python wait in every job before it does anything.

        Args:
            begins: File that is made when it begins to wait.
            goes: File for which it waits.
        """
        lines = (
            f"open({str(begins)!r}, 'w')\nwhile not os.path.exists({str(goes)!r}): time.sleep(0.1)"
        )
        code = self.folder / "slow"
        code.mkdir()
        (code / "sitecustomize.py").write_text(f"import os, time\n{lines}\n")
        self.profile(f"environment: {{PYTHONPATH: '{code}:{INTEGRATION}'}}")

    def steps(self, run: RunDirectory) -> list[int]:
        """Return the step of every metric event of a run."""
        return [event["step"] for event in run.events() if event["kind"] == "metric"]

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the environment that the command and its jobs need."""
        monkeypatch.setenv("TGDP_PROFILES", str(self.folder / "profiles"))
        monkeypatch.setenv("FAKE_TRACE", str(self.folder / "trace.txt"))
        monkeypatch.setenv("PYTHONPATH", str(INTEGRATION))
        (self.folder / "orders").mkdir()
        (self.folder / "orders" / "hold").write_text("1")
        self.profile()
        if self.bed is not None:
            for name, value in self.bed.cluster.environment().items():
                monkeypatch.setenv(name, value)


def write_profile(folder: Path, text: str = "") -> None:
    """Write the profile `own`; fields in the text come on top of the usual ones.

    Args:
        folder: Its folder of profiles is named by TGDP_PROFILES.
        text: Fields, a line each.
    """
    path = folder / "profiles" / "own.yaml"
    path.parent.mkdir(exist_ok=True)
    given = {line.partition(":")[0] for line in text.splitlines()}
    kept = [line for line in PROFILE.splitlines() if line.partition(":")[0] not in given]
    path.write_text("\n".join((*kept, text)) + "\n")


def settled(run: RunDirectory, states: str, patience_s: float = 90) -> str:
    """Wait until a run is in one of some states, and return which."""
    deadline = time.monotonic() + patience_s
    while run.status().state not in states.split():
        assert time.monotonic() < deadline, f"{run.status()}, not {states}"
        time.sleep(0.2)
    return run.status().state


def reached(run: RunDirectory, step: int) -> Callable[[], bool]:
    """Return what says whether a run is at a step."""
    return lambda: run.status().step >= step


def _data(folder: Path) -> Path:
    data = folder / "data"
    data.mkdir()
    card = {"format": "tgdp-shards", "version": 1, "name": "toy", "settings": {}}
    card |= {"splits": {"train": 64, "retrieval": 32}, "num_failures": 0}
    card |= {"fingerprint": "0123456789abcdef", "num_frames": 16, "sample_rate": 16000}
    (data / "dataset.json").write_text(json.dumps(card))
    return data
