"""Pictures of a run by the command line: in the run's folder and in MLflow, twice as once."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.cli.report import app
from tgdp.config import dump, override, signature
from tgdp.errors import UserError
from tgdp.evaluation.run import execute
from tgdp.sweep import track
from tgdp.sweep.track_store import Store, opened
from tgdp.training.run_directory import RunDirectory

SMALL = {
    **SMALL_MODEL,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "contrastive.mask.selection": "guided",
    "reconstruction.pixel_norm": True,
    "training.batch_size": 4,
    "training.steps": 2,
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.threads": 1,
}
KINDS = ("reconstructions", "priorities")


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.fixture
def run(prepared, tmp_path) -> RunDirectory:
    data = str(prepared([1.6] * 8))
    config = override(presets.tiny(), {**SMALL, "data.folder": data})
    made = RunDirectory(tmp_path / "results" / "runs" / signature(config))
    made.create(dump(config))
    assert execute(made, config, lambda: False)
    return made


def call(kind: str, *words: object) -> str:
    done = CliRunner().invoke(app, [kind, *map(str, words)])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def artifacts(results: Path) -> dict[str, bytes]:
    """Every picture among the artifacts, by its place in the run."""
    found = sorted((results / "artifacts").rglob("*.png"))
    return {"/".join(path.parts[-2:]): path.read_bytes() for path in found}


@pytest.mark.slow
def test_both_pictures_are_in_the_run_and_in_mlflow_and_twice_is_once(run, monkeypatch, tmp_path):
    results = run.path.parents[1]
    monkeypatch.setenv("TGDP_RESULTS", str(results))
    for kind in KINDS:
        file = run.path / "pictures" / f"{kind}.png"
        printed = call(kind, run.name[:6], "--clips", 1)
        assert f"  {file}\n" in printed
        assert f"pictures/{kind}.png of run {run.name}" in printed
        with Image.open(file) as picture:
            picture.verify()
    assert list(artifacts(results)) == ["pictures/priorities.png", "pictures/reconstructions.png"]
    before, stored, tracked = stamps(run), artifacts(results), track.read(results).runs
    for kind in KINDS:
        call(kind, run.path, "--clips", 1)
    assert stamps(run) == before
    assert artifacts(results) == stored
    assert track.read(results).runs == tracked
    assert track.sync(results).unchanged == 1

    call("priorities", run.path, "--ids=-clip.3", "--attention", "both", "--ratios", "0.5")
    assert artifacts(results)["pictures/priorities.png"] != stored["pictures/priorities.png"]
    assert len(track.read(results).runs) == 1

    other = tmp_path / "elsewhere.png"
    assert str(other) in call("reconstructions", run.path, "--frame", 0, "--out", other)
    assert other.read_bytes().startswith(b"\x89PNG")
    assert stamps(run).keys() == before.keys()


def stamps(run: RunDirectory) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (run.path / "pictures").iterdir()}


def test_sync_brings_pictures_that_could_not_be_stored(run, monkeypatch):
    results = run.path.parents[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    printed = call("reconstructions", run.path, "--clips", 1)
    assert "Warning: the picture is not in MLflow" in printed
    assert f"Next: tgdp-report sync --results {results}" in printed
    assert (run.path / "pictures" / "reconstructions.png").exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")

    real = Store.keep

    def refuse(self, run_id, file, folder=None):
        if folder is None:
            real(self, run_id, file)
        else:
            self.problems.append(f"{file}: not stored as an artifact (no room)")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "keep", refuse)
        assert "no room" in track.sync(results).skipped[0]
    assert artifacts(results) == {}
    assert track.sync(results).updated == 1
    assert list(artifacts(results)) == ["pictures/reconstructions.png"]
    assert track.sync(results).unchanged == 1
    with opened(results) as store:
        assert len(store.runs("cell")) == 1


def test_the_gallery_is_a_page_and_a_picture(run):
    results = run.path.parents[1]
    printed = call("gallery", run.name, "--hardest", 1, "--results", results)
    page = run.path / "pictures" / "gallery.html"
    assert f"  {page}\n" in printed
    assert page.read_text().count("<h2>") == 2
    assert list(artifacts(results)) == ["pictures/gallery.png"]


def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(run, tmp_path):
    empty = tmp_path / "results" / "runs" / "0123456789ab"
    RunDirectory(empty).create((run.path / "config.yaml").read_text())
    for words, message in (
        (["priorities", "nosuchrun"], "no run 'nosuchrun'"),
        (["reconstructions", str(empty)], "neither a checkpoint file nor a run directory"),
        (["reconstructions", run.name, "--ids", "clip"], "no clip 'clip' in split 'test'"),
        (["priorities", run.name, "--ratios", "half"], "--ratios half: expected numbers"),
        (["priorities", run.name, "--ratios", ","], "give at least one number"),
        (["gallery", run.name, "--hardest", "0"], "name the clips to ask for with --ids"),
    ):
        done = CliRunner().invoke(app, [*words, "--results", str(tmp_path / "results")])
        assert isinstance(done.exception, UserError)
        assert message in str(done.exception)
    assert not (run.path / "pictures").exists()
