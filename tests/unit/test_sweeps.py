"""Every row of every sweep builds and learns for a step: branches nobody runs rot."""

import csv
import math
from pathlib import Path

import pytest
import torch

from tgdp import presets
from tgdp.sweep.declare import expand
from tgdp.sweep.discover import load_sweep, sweep_names
from tgdp.training.step import Batch
from tgdp.training.trainer import build_learner, take_step

ROOT = Path(__file__).parents[2]
CELLS = [
    pytest.param(cell.config, id=f"{name} {cell.variant.label}")
    for name in sweep_names()
    for cell in expand(load_sweep(name), presets.tiny(), (0,))
]


@pytest.mark.parametrize("config", CELLS)
def test_every_row_takes_a_step(config):
    learner = build_learner(config, torch.device("cpu"))
    before = [parameter.clone() for parameter in learner.student.parameters()]
    generator = torch.Generator().manual_seed(0)
    batch = Batch(
        torch.randn(3, config.data.segment_steps, 128, generator=generator),
        torch.randn(3, 3, config.data.image_size, config.data.image_size, generator=generator),
        torch.arange(3),
        epoch=0,
    )
    losses, norm = take_step(config, learner, batch, rate=1e-3)
    assert all(math.isfinite(loss.item()) for loss in losses)
    assert norm.item() > 0
    after = list(learner.student.parameters())
    still = [b for b, a in zip(before, after, strict=True) if a.numel() and torch.equal(b, a)]
    assert not still, f"{len(still)} parameters did not move"


@pytest.mark.parametrize("name", sweep_names())
def test_published_names_exist(name):
    sweep = load_sweep(name)
    with (ROOT / "results" / "published.csv").open(encoding="utf-8", newline="") as file:
        methods = {row["method"] for row in csv.DictReader(file) if row["table"] == sweep.source}
    named = {variant.published for variant in sweep.variants if variant.published}
    assert named
    assert named <= methods
