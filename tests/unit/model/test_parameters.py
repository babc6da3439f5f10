"""What the formula counts is what the model has."""

from typing import Any

import pytest
import torch

from tgdp import presets
from tgdp.config import override
from tgdp.model.dual_path import Student
from tgdp.model.parameters import num_parameters

SHAPES: list[dict[str, Any]] = [
    {},
    {"model.num_registers": 0},
    {"model.pooling": "mean", "contrastive.mask.selection": "random"},
    {"model.contrastive_head_layers": 2, "model.joint_layers": 3},
    {"model.mlp_ratio": 2.5, "model.modality_layers": 0},
    {"contrastive.learned_temperature": True},
]


@pytest.mark.parametrize("name", presets.PRESETS)
@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_parameters_are_counted_as_the_model_has_them(name: str, changes: dict[str, Any]) -> None:
    config = override(presets.by_name(name), changes)
    with torch.device("meta"):
        found = sum(each.numel() for each in Student(config).parameters() if each.requires_grad)
    assert num_parameters(config) == found
