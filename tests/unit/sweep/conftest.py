"""Data that is only a card, a sweep of three rows, an empty store, a job in this process."""

import json
import sqlite3
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from tgdp.config import Config, dump
from tgdp.presets import tiny
from tgdp.sweep import track
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant
from tgdp.sweep.job import Job
from tgdp.training.run_directory import RunDirectory

MakeData = Callable[..., Path]
Work = Callable[[RunDirectory, Config, Callable[[], bool]], bool]


@pytest.fixture
def make_data(tmp_path: Path) -> MakeData:
    def make(splits: dict[str, int] | None = None, version: int = 1) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        card = {"format": "tgdp-shards", "version": version, "name": "toy", "settings": {}}
        card |= {"splits": splits or {"train": 64, "retrieval": 32}, "num_failures": 0}
        card |= {"fingerprint": "0123456789abcdef", "num_frames": 16, "sample_rate": 16000}
        (folder / "dataset.json").write_text(json.dumps(card))
        return folder

    return make


@pytest.fixture
def toy() -> Sweep:
    ratios = (0.0, 0.25, 0.65)
    rows = tuple(Variant(str(ratio), {"contrastive.mask.ratio": ratio}) for ratio in ratios)
    return Sweep("toy", "Toy", "Does it work?", "none", rows, RETRIEVAL, seeds=(0,))


@pytest.fixture
def own_store(monkeypatch):
    """Look for the store in the results folder, whatever the environment says."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """Make the tables of an empty store once: that takes seconds."""
    results = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        # Another experiment, so that each test makes its own with its own artifact folder.
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "unused")
        # What an import killed in mlflow's migration leaves behind must not be in the way.
        with sqlite3.connect(results / "mlflow.db.new") as broken:
            broken.execute("create table _alembic_tmp_params (a)")
        broken.close()
        track.read(results)
        assert not (results / "mlflow.db.new").exists()
    return results / "mlflow.db"


@pytest.fixture
def results(tmp_path, empty_store, own_store):
    # Through sqlite: a plain copy would leave out what is still in the write-ahead log.
    source, copy = sqlite3.connect(empty_store), sqlite3.connect(tmp_path / "mlflow.db")
    source.backup(copy)
    source.close()
    copy.close()
    return tmp_path


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch) -> Callable[..., tuple[RunDirectory, Job]]:
    def make(work: Work, config: Config | None = None, **fields) -> tuple[RunDirectory, Job]:
        module = types.ModuleType("work_of_a_test")
        module.work = work  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "work_of_a_test", module)
        run = RunDirectory(tmp_path / "run")
        job = Job(str(run.path), dump(config or tiny()), "work_of_a_test:work", **fields)
        return run, job

    return make
