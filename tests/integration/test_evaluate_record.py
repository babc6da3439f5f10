"""`tgdp-eval --record`: with the run or as that of a file, once in the store, or kept for later."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.cli.evaluate import app
from tgdp.config import Config, dump, override, signature
from tgdp.errors import UserError
from tgdp.evaluation.run import execute
from tgdp.model.released.write import to_released
from tgdp.sweep import track
from tgdp.sweep.track_store import TrackedRun, opened
from tgdp.training.learner import build_learner
from tgdp.training.run_directory import RunDirectory, Status

pytestmark = pytest.mark.slow

SMALL = {
    **SMALL_MODEL,
    "training.batch_size": 8,
    "training.steps": 2,
    "data.name": "test",
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.threads": 1,
    "runtime.num_workers": 0,
}
RELEASED = {
    "model.width": 64,
    "model.num_heads": 1,
    "model.decoder.width": 32,
    "model.decoder.num_layers": 2,
    "model.decoder.num_heads": 1,
    "data.segment_steps": 96,
    "data.image_size": 32,
    "data.timing": "upstream",
}
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared([1.6] * 24)


@pytest.fixture
def run(data, tmp_path) -> RunDirectory:
    config = override(presets.tiny(), {**SMALL, "data.folder": str(data)})
    made = RunDirectory(tmp_path / "results" / "runs" / signature(config))
    made.create(dump(config))
    assert execute(made, config, lambda: False)
    made.set_status(Status("done", 2, 2))
    return made


@pytest.fixture
def file(data, tmp_path) -> Path:
    """Return a file in the naming of the released code."""
    config: Config = override(presets.paper(), RELEASED)
    learner = build_learner(config, torch.device("cpu"))
    path = tmp_path / "theirs.pth"
    torch.save(to_released(learner.student.state_dict(), config), path)
    return path


def call(results: Path, *words: object) -> str:
    """Return what a command says of what it keeps."""
    done = CliRunner().invoke(app, [*map(str, words), "--results", str(results)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stderr


def tracked(results: Path) -> list[TrackedRun]:
    with opened(results) as store:
        return store.runs("evaluation")


def test_an_evaluation_of_a_run_is_kept_in_it_and_tracked_with_it(run):
    results = run.path.parents[1]
    told = call(results, "retrieval", run.path, "--which", "2", "--record")
    (kept,) = run.evaluation_results()
    assert (kept["which"], kept["n"], len(kept["per_class"])) == ("step-2", 12, 2)
    assert f"Kept: {run.evaluations}/retrieval-v1-test-test-step-2.json" in told
    assert "1 new" in told
    stored = track.read(results).runs[run.name].metrics
    assert {name: stored[name] for name in kept["metrics"]} == kept["metrics"]
    # From another folder, and again: nothing is twice.
    assert "0 new" in call(results.parent / "elsewhere", "retrieval", run.path, "--record")
    assert len(run.evaluation_results()) == 2
    assert not (results.parent / "elsewhere" / "mlflow.db").exists()
    assert len(track.read(results).runs) == 1


def test_weights_that_will_be_others_later_are_not_recorded_under_their_word(run):
    run.set_status(Status("interrupted", 2, 9))
    results = run.path.parents[1]
    with pytest.raises(UserError, match=r"is at step 2 of 9, and 'last' will be other weights"):
        call(results, "retrieval", run.path, "--record")
    call(results, "retrieval", run.path, "--which", "step-2", "--record")
    assert [one["which"] for one in run.evaluation_results()] == ["step-2"]


def test_a_store_that_does_not_answer_costs_nothing_but_the_sync(run, monkeypatch):
    results = run.path.parents[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    told = call(results, "retrieval", run.path, "--record")
    assert f"Kept, but not tracked: tracking server {NOBODY} does not answer" in told
    assert f"Later: tgdp-report sync --results {results}" in told
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (kept,) = run.evaluation_results()
    track.sync(results)
    assert kept["metrics"].items() <= track.read(results).runs[run.name].metrics.items()


def test_a_file_that_is_of_no_run_is_one_run_of_the_store_for_each_protocol(
    file, data, tmp_path, monkeypatch
):
    results = tmp_path / "results"
    words = ("--data", data, "--split", "test", "--record")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOBODY)
    told = call(results, "retrieval", file, *words)
    assert f"Later: tgdp-eval sync --results {results}" in told
    (kept,) = results.glob("evaluations/*/*.json")
    found = json.loads(kept.read_text())
    assert (found["file"], found["which"], found["n"]) == ("theirs.pth", "last", 12)
    assert kept.parent.name == found["weights_sha256"][:16]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "1 new, 0 replaced, 0 unchanged" in call(results, "sync")
    (one,) = tracked(results)
    assert one.metrics == found["metrics"]
    assert one.status == "FINISHED"
    expected = {
        "file": "theirs.pth",
        "weights": found["weights_sha256"],
        "protocol": "retrieval/v1",
        "dataset": "test",
        "fingerprint": found["fingerprint"],
        "clips": "12",
    }
    assert {name: one.tags[f"tgdp.{name}"] for name in expected} == expected
    with opened(results) as store:
        (artifact,) = store.client.list_artifacts(one.run_id)
    assert artifact.path == "retrieval-v1-test-test-last.json"
    # Once more and under another name: the same weights by the same protocol on the same data.
    call(results, "retrieval", file, *words)
    call(results, "retrieval", shutil.copy(file, tmp_path / "renamed.pth"), *words)
    assert [run.tags["tgdp.file"] for run in tracked(results)] == ["renamed.pth"]
    call(results, "retrieval", file, "--data", data, "--split", "train", "--record")
    assert sorted(run.tags["tgdp.split"] for run in tracked(results)) == ["test", "train"]


def test_a_released_file_has_one_model(file, data, tmp_path):
    for word in ("best", "teacher", "600"):
        with pytest.raises(UserError, match=f"--which {word}: .*holds one model. Valid: last"):
            call(tmp_path, "retrieval", file, "--data", data, "--which", word)


def test_a_file_that_is_no_evaluation_is_named_and_left_out(tmp_path):
    folder = tmp_path / "evaluations" / "0123"
    folder.mkdir(parents=True)
    (folder / "torn.json").write_text('{"protocol": ')
    told = call(tmp_path, "sync")
    assert "1 skipped" in told
    assert f"{folder / 'torn.json'}: no evaluation of a file" in told
