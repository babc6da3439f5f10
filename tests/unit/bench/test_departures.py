"""What the released code's defects do, as measured, and the page that says so."""

from pathlib import Path

import pytest
import torch

from tgdp.bench.departures import measure, overlap
from tgdp.bench.parity.figures import read_figures

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def effects():
    return list(measure(read_figures(ROOT / "tests" / "parity" / "two_joint_layers.npz")))


def test_the_overlap_of_halves_is_counted():
    merit = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    assert overlap(merit, merit) == 1.0
    assert overlap(merit, -merit) == 0.0
    assert overlap(merit, torch.tensor([[4.0, 1.0, 3.0, 2.0]])) == 0.5


def test_shuffled_ranks_are_chance_and_ours_are_the_teachers(effects):
    shuffled = next(effect for effect in effects if "shuffled" in effect.departure)
    assert float(shuffled.released) == pytest.approx(0.5, abs=0.06)
    assert float(shuffled.ours) == 1.0


def test_a_ratio_seeded_anew_each_step_is_one_number(effects):
    ratio = next(effect for effect in effects if "mask ratio" in effect.departure)
    assert ratio.released.startswith("1;")
    assert ratio.ours.startswith("200;")


def test_the_page_holds_what_is_measured():
    page = (ROOT / "docs" / "upstream.md").read_text(encoding="utf-8")
    measured = measure(read_figures(ROOT / "tests" / "parity" / "figures.npz"))
    missing = [effect for effect in measured if f"| {effect.departure} | " not in page]
    assert not missing
