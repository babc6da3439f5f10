"""Start weights from timm: asked for once, the licence said, and no network a plain error."""

import logging

import pytest
import timm
import torch

from tests.released_states import mae_shapes, random
from tgdp import presets
from tgdp.config import override
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.initial import initialise

SIZE = {
    "init.source": "imagenet_mae",
    "model.width": 64,
    "model.num_heads": 1,
    "data.segment_steps": 96,
    "data.image_size": 64,
}


@pytest.fixture
def narrow(monkeypatch):
    """Let timm's model have the width of these tests."""
    sizes = {"model.width": 64, "model.num_heads": 1}
    monkeypatch.setattr("tgdp.model.initial.TIMM_MAE_SIZES", sizes)


def test_imagenet_mae_comes_from_timm_and_its_licence_is_said(narrow, monkeypatch, caplog):
    asked = []

    def create(name, *, pretrained):
        asked.append((name, pretrained))
        model = torch.nn.Module()
        model.state_dict = lambda: random(mae_shapes(64))
        return model

    monkeypatch.setattr(timm, "create_model", create)
    config = override(presets.paper(), SIZE)
    with caplog.at_level(logging.WARNING):
        done = initialise(Student(config), config)
    assert done is not None
    assert asked == [("vit_base_patch16_224.mae", True)]
    assert caplog.text.count("CC BY-NC 4.0, for non-commercial use only") == 1
    assert done.source == "timm vit_base_patch16_224.mae"


def test_without_a_network_the_error_offers_a_file(narrow, monkeypatch):
    def create(name, *, pretrained):
        raise OSError("cannot reach the hub\nlong trace")

    monkeypatch.setattr(timm, "create_model", create)
    config = override(presets.paper(), SIZE)
    with pytest.raises(UserError, match=r"\(cannot reach the hub\).*--set init\.source=file"):
        initialise(Student(config), config)


def test_other_sizes_are_refused_before_anything_is_fetched(monkeypatch):
    monkeypatch.delattr(timm, "create_model")
    config = override(presets.paper(), SIZE)
    message = r"model\.width is 64, the file's is 768; model\.num_heads is 1, the file's is 12"
    with pytest.raises(UserError, match=message):
        initialise(Student(config), config)
