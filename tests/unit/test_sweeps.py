"""Every row of every sweep builds and learns for a step: branches nobody runs rot."""

import csv
import math
from pathlib import Path

import pytest
import torch

from tgdp import presets
from tgdp.config import Config, override
from tgdp.model.schedules import Moment
from tgdp.report.published import published_row
from tgdp.sweep.declare import expand
from tgdp.sweep.discover import load_sweep, sweep_names
from tgdp.training.learner import build_learner
from tgdp.training.step import Batch
from tgdp.training.update import take_step

ROOT = Path(__file__).parents[2]


def base(name: str, preset: str = "tiny") -> Config:
    """Return what every row of a sweep starts from."""
    return override(presets.by_name(preset), load_sweep(name).common)


CELLS = [
    pytest.param(cell.config, id=f"{name} {cell.variant.label}")
    for name in sweep_names()
    for cell in expand(load_sweep(name), base(name), (0,))
]


@pytest.mark.parametrize("config", CELLS)
def test_every_row_takes_a_step(config):
    learner = build_learner(config, torch.device("cpu"))
    before = [parameter.clone() for parameter in learner.student.parameters()]
    generator = torch.Generator().manual_seed(0)
    batch = Batch(
        torch.randn(3, config.data.audio_steps, 128, generator=generator),
        torch.randn(3, 3, config.data.image_size, config.data.image_size, generator=generator),
        torch.arange(3),
        Moment(step=300, total_steps=600, epoch=7),
    )
    losses, norm, *_ = take_step(config, learner, batch, rate=1e-3)
    assert all(math.isfinite(loss.item()) for loss in losses if loss is not None)
    assert norm.item() > 0
    after = list(learner.student.parameters())
    still = [b for b, a in zip(before, after, strict=True) if a.numel() and torch.equal(b, a)]
    assert not still, f"{len(still)} parameters did not move"


@pytest.mark.parametrize("name", sweep_names())
def test_published_names_exist(name):
    sweep = load_sweep(name)
    with (ROOT / "results" / "published.csv").open(encoding="utf-8", newline="") as file:
        known = {(row["table"], row["method"]) for row in csv.DictReader(file)}
    named = {published_row(sweep, row.published) for row in sweep.variants if row.published}
    assert named <= known
    assert bool(sweep.source) == any(table == sweep.source for table, _ in named)


@pytest.mark.parametrize("preset", ["tiny", "small", "paper"])
@pytest.mark.parametrize("name", sweep_names())
def test_every_row_is_valid_and_a_run_of_its_own_on_the_presets_of_the_method(name, preset):
    cells = expand(load_sweep(name), base(name, preset), (0,))
    assert len({cell.signature for cell in cells}) == len(cells)
