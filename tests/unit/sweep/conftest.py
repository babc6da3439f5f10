"""A prepared data folder with nothing in it but its card, and a sweep of three rows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

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
