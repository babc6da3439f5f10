"""Real training by several tasks: the steps and the weights of one process; one that dies."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster_sweep import settled, write_profile
from testbed_session import Testbed, wait_for

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from same_run import metrics
from small_run import CLIPS, FRAME, resolved, words
from test_ranks import difference, known

from tgdp.cli.sweep_run import Wanted
from tgdp.cli.sweep_slurm import on_slurm
from tgdp.cli.sweep_start import Where
from tgdp.cli.train_run import ONE_RUN
from tgdp.config import Config, dump
from tgdp.sweep.job import Job
from tgdp.sweep.slurm import jobs
from tgdp.training import checkpoint
from tgdp.training.learner import build_learner
from tgdp.training.run_directory import RunDirectory

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

STEPS, RANKS = 4, 4

LIMIT = 1e-5

# As in the tests of ranks: a higher rate shows what Adam makes of rounding.
CHANGES: dict[str, Any] = {
    **{
        "training__steps": STEPS,
        "training__learning_rate": 1e-4,
        "training__batch_size": 2 * RANKS,
    },
    "runtime__evaluate_every": STEPS,
}

PROFILE = """\
gpus: 2
memory: 8G
evaluate: {nodes: 1, gpus: 0}
"""


@pytest.fixture
def data(testbed: Testbed, prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path / "profiles"))
    for name, value in testbed.cluster.environment().items():
        monkeypatch.setenv(name, value)
    return prepared(CLIPS, size=FRAME)


def submit(data: Path, folder: Path, profile: str, **changes: Any) -> RunDirectory:
    """Submit the run, and return its directory."""
    write_profile(folder, profile)
    asked = Wanted(words(data, **changes), folder / "results")
    assert on_slurm(ONE_RUN, asked, Where("slurm", profile="own")) == 0
    return resolved(data, asked.results, **changes)[0]


def test_two_nodes_with_two_tasks_each_train_as_one_process(data: Path, tmp_path: Path) -> None:
    run = submit(data, tmp_path, f"nodes: 2\n{PROFILE}", **CHANGES)
    alone, config = resolved(data, tmp_path / "alone", **CHANGES)
    assert Job(str(alone.path), dump(config))() == "done"

    assert settled(run, "done failed interrupted", 120) == "done", run.status()
    train, evaluate = jobs.read(run)
    assert (train.stage, evaluate.stage, run.status().attempt) == ("train", "evaluate", 2)
    ranks = {path.name for path in Path(train.log).parent.glob("*_log.out")}
    assert ranks == {f"{train.job}_{rank}_log.out" for rank in range(RANKS)}
    assert [path.name for path in run.path.parent.iterdir()] == [run.name]
    assert max(_apart(run, alone).values()) <= LIMIT, _apart(run, alone)
    assert _moved(run, config) > 10 * LIMIT


def test_a_task_that_dies_ends_the_job_at_once(
    data: Path, tmp_path: Path, testbed: Testbed
) -> None:
    endless = {**CHANGES, "training__steps": 100_000, "runtime__evaluate_every": 100_000}
    run = submit(data, tmp_path, PROFILE, **endless)
    train, evaluate = (record.job for record in jobs.read(run))
    wait_for(lambda: run.status().saved >= STEPS, 120, run.status)

    os.kill(_task(train, 1), signal.SIGKILL)

    # Left to themselves, the other ranks would wait for it until the walltime is over.
    testbed.wait(train, "FAILED")
    testbed.wait(evaluate, "CANCELLED")
    status = run.status()
    assert (status.state, status.attempt) == ("interrupted", 1)
    assert "another of its processes is gone" in status.error
    assert status.saved >= STEPS


def _task(job: str, rank: int) -> int:
    """Return the process of a task: of all that have its environment the one that is python."""
    wanted = {f"SLURM_JOB_ID={job}".encode(), f"SLURM_PROCID={rank}".encode()}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            has = set((folder / "environ").read_bytes().split(b"\0"))
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted <= has and b"submitit.core._submit" in words:
            return int(folder.name)
    raise AssertionError(f"no task {rank} of job {job}")


def _apart(run: RunDirectory, other: RunDirectory) -> dict[str, float]:
    """Return by how much two runs differ at most, in what they learned and what they wrote down."""
    ours, theirs = (checkpoint.load_newest(each.checkpoints) for each in (run, other))
    assert ours is not None
    assert theirs is not None
    parts = ("student", "teacher")
    found = {part: difference(known(ours[part]), known(theirs[part])) for part in parts}
    losses = [[_losses(values) for _, values in metrics(each)] for each in (run, other)]
    assert sum(map(bool, losses[0])) == STEPS
    steps = zip(*losses, strict=True)
    found["losses"] = max(abs(a[name] - b[name]) for a, b in steps for name in {**a, **b})
    return found


def _moved(run: RunDirectory, config: Config) -> float:
    """Return how far the weights are from where they began."""
    stored = checkpoint.load_newest(run.checkpoints)
    assert stored is not None
    first = build_learner(config, torch.device("cpu")).student.state_dict()
    return difference(known(stored["student"]), known(first))


def _losses(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name.startswith("train/loss/")}
