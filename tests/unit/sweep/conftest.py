"""A prepared data folder that is only a card, a sweep of three rows, an empty tracking store."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tgdp.sweep import track
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

MakeData = Callable[..., Path]


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
