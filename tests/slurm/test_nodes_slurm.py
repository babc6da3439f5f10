"""Real training on two nodes with two tasks each: the steps and the weights of one process."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cluster_sweep import settled, write_profile
from testbed_session import Testbed

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
nodes: 2
gpus: 2
memory: 8G
evaluate: {nodes: 1, gpus: 0}
"""


def test_two_nodes_with_two_tasks_each_train_as_one_process(
    testbed: Testbed, prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(CLIPS, size=FRAME)
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path / "profiles"))
    for name, value in testbed.cluster.environment().items():
        monkeypatch.setenv(name, value)
    write_profile(tmp_path, PROFILE)

    asked = Wanted(words(data, **CHANGES), tmp_path / "results")
    assert on_slurm(ONE_RUN, asked, Where("slurm", profile="own")) == 0
    alone, config = resolved(data, tmp_path / "alone", **CHANGES)
    assert Job(str(alone.path), dump(config))() == "done"

    run, _ = resolved(data, asked.results, **CHANGES)
    assert settled(run, "done failed interrupted", 120) == "done", run.status()
    train, evaluate = jobs.read(run)
    assert (train.stage, evaluate.stage, run.status().attempt) == ("train", "evaluate", 2)
    ranks = {path.name for path in Path(train.log).parent.glob("*_log.out")}
    assert ranks == {f"{train.job}_{rank}_log.out" for rank in range(RANKS)}
    assert [path.name for path in (asked.results / "runs").iterdir()] == [run.name]
    assert max(_apart(run, alone).values()) <= LIMIT, _apart(run, alone)
    assert _moved(run, config) > 10 * LIMIT


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
