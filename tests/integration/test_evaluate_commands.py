"""`tgdp-eval retrieval` and `probe` on a run: figures, intervals, rows beside them, the cache."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.cli.evaluate import app
from tgdp.config import dump, override, signature
from tgdp.errors import UserError
from tgdp.evaluation.run import execute
from tgdp.training.run_directory import RunDirectory

SMALL = {
    **SMALL_MODEL,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "training.batch_size": 8,
    "training.steps": 6,
    "data.name": "test",
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.threads": 1,
    "runtime.evaluate_every": 2,
}


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory) -> RunDirectory:
    config = override(presets.tiny(), {**SMALL, "data.folder": str(prepared([1.6] * 40))})
    made = RunDirectory(tmp_path_factory.mktemp("results") / "runs" / signature(config))
    made.create(dump(config))
    assert execute(made, config, lambda: False)
    return made


def call(run: RunDirectory, *words: object) -> str:
    results = run.path.parents[1]
    done = CliRunner().invoke(app, [*map(str, words), "--results", str(results)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def test_retrieval_says_what_the_run_found_with_intervals_and_the_rows_beside_it(run, tmp_path):
    out = tmp_path / "found" / "r.json"
    found = json.loads(call(run, "retrieval", run.path, "--sanity", "--json", "--out", out))
    assert json.loads(out.read_text()) == found
    result = run.result()
    assert result is not None
    assert found["metrics"] == result["metrics"]
    assert found["intervals"] == result["intervals"]
    for name, (low, high) in found["intervals"].items():
        assert low <= found["metrics"][name] <= high
    assert found["weights"] == "step 6"
    # The data is not the embedded benchmark, so there is no oracle.
    assert list(found["sanity"]) == ["untrained", "mean embedding"]
    assert found["sanity"]["mean embedding"]["a2v/r1"] == 0.0
    table = call(run, "retrieval", run.path)
    assert "95 % intervals: over clips, not over trainings" in table
    assert "retrieval/v1, split 'test', N = 20 clips, step 6" in table
    kept = [path for path in (run.path.parents[1] / "features").iterdir() if path.is_dir()]
    assert len(kept) == 2  # of this encoder and of the untrained one


def test_the_weights_can_be_chosen(run):
    best = json.loads(call(run, "retrieval", run.path, "--which", "best", "--json"))
    kept = json.loads((run.path / "checkpoints" / "best.json").read_text())
    assert best["weights"] == f"step {kept['step']}"
    ways = [value for name, value in best["metrics"].items() if name.endswith("/r1")]
    assert sum(ways) / 2 == pytest.approx(kept["value"])
    teacher = json.loads(call(run, "retrieval", run.path, "--which", "teacher", "--json"))
    assert teacher["weights"] == "teacher, step 6"
    with pytest.raises(UserError, match="3"):
        call(run, "retrieval", run.path, "--which", "3")


def test_a_probe_is_trained_on_one_split_and_tested_on_another(run):
    words = ("probe", run.path, "--probe", "linear", "--seeds", 1)
    found = json.loads(
        call(run, *words, "--train-split", "train", "--test-split", "test", "--json")
    )
    # Clips of one split have one label, of the other two, as the fixture makes them.
    assert found["settings"]["task"] == "multilabel"
    assert (found["protocol"], found["n"], found["num_train"]) == ("probe-linear/v1", 20, 20)
    # Of two labels one is on every clip: that one is told by its frequency alone.
    assert 0.5 <= found["metrics"]["map"] < 1.001
    table = call(run, *words, "--modality", "a", "--task", "multilabel")
    assert "modality a" in " ".join(table.split())
    with pytest.raises(
        UserError, match=r"no split 'nosuch'; choose one with --test-split. Valid: "
    ):
        call(run, *words, "--test-split", "nosuch")


def test_what_cannot_be_written_is_said(run):
    with pytest.raises(UserError, match=r"--out /proc/no\.json: cannot be written"):
        call(run, "retrieval", run.path, "--out", Path("/proc/no.json"))
