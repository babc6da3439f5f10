"""Schedules at their ends and in between, and the range that is drawn from anew each step."""

import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tgdp.config import ContrastiveMask, MaskConfig, TeacherConfig
from tgdp.model.schedules import Moment, is_guided, mask_ratios, momentum

RATIOS = st.floats(0, 0.99)
MOVING = st.sampled_from(["linear", "cosine", "uniform"])


def _at(step: int, total: int = 11, epoch: int = 0) -> Moment:
    return Moment(step, total, epoch)


@given(start=RATIOS, end=RATIOS, schedule=st.sampled_from(["linear", "cosine"]))
def test_a_schedule_starts_and_ends_where_it_says(start: float, end: float, schedule: Any) -> None:
    mask = MaskConfig(ratio=end, from_ratio=start, schedule=schedule)
    assert mask_ratios(mask, _at(0), 0, "x").audio == start
    assert mask_ratios(mask, _at(10), 0, "x").audio == end
    assert mask_ratios(mask, _at(5), 0, "x").audio == pytest.approx((start + end) / 2, abs=1e-12)
    assert mask_ratios(mask, _at(99), 0, "x").audio == end


def test_the_cosine_is_slow_at_both_ends() -> None:
    mask = MaskConfig(ratio=0.8, from_ratio=0.0, schedule="cosine")
    found = [mask_ratios(mask, _at(step, 5), 0, "x").image for step in range(5)]
    assert found == pytest.approx([0.8 * (1 - math.cos(math.pi * k / 4)) / 2 for k in range(5)])
    linear = MaskConfig(ratio=0.8, from_ratio=0.0, schedule="linear")
    assert found[1] < mask_ratios(linear, _at(1, 5), 0, "x").image
    assert found[3] > mask_ratios(linear, _at(3, 5), 0, "x").image


def test_each_modality_goes_to_its_own_ratio() -> None:
    mask = MaskConfig(
        ratio=0.1, audio_ratio=0.8, image_ratio=0.4, from_ratio=0.6, schedule="linear"
    )
    assert mask_ratios(mask, _at(5), 0, "x") == pytest.approx((0.7, 0.5))
    constant = MaskConfig(ratio=0.1, image_ratio=0.4)
    assert {mask_ratios(constant, _at(step), 0, "x") for step in range(11)} == {(0.1, 0.4)}


@given(start=RATIOS, end=RATIOS, schedule=MOVING, step=st.integers(0, 10), seed=st.integers(0, 9))
def test_no_ratio_leaves_the_range_that_was_checked(
    start: float, end: float, schedule: Any, step: int, seed: int
) -> None:
    mask = MaskConfig(ratio=end, from_ratio=start, schedule=schedule)
    low, high = mask.reached("audio")
    assert low <= mask_ratios(mask, _at(step), seed, "x").audio <= high


def _uniform(steps: int, seed: int = 0, path: str = "contrastive") -> torch.Tensor:
    mask = MaskConfig(ratio=0.8, from_ratio=0.2, schedule="uniform")
    return torch.tensor([mask_ratios(mask, _at(k, steps), seed, path) for k in range(steps)])


def test_a_uniform_range_is_drawn_evenly_and_without_memory() -> None:
    ratios = _uniform(2000)
    deviation = 0.6 / 12**0.5
    assert (ratios.mean(dim=0) - 0.5).abs().max() < 4 * deviation / 2000**0.5
    assert ratios.std(dim=0).tolist() == pytest.approx([deviation] * 2, rel=0.05)
    counts = torch.histc(ratios[:, 0], bins=10, min=0.2, max=0.8)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9  # chi-square of 9, one in a thousand
    lag = torch.corrcoef(torch.stack([ratios[:-1, 0], ratios[1:, 0]]))[0, 1]
    assert lag.abs() < 4 / 2000**0.5
    assert len(set(ratios[:, 0].tolist())) == 2000


def test_seeds_paths_and_modalities_draw_for_themselves() -> None:
    streams = [_uniform(500), _uniform(500, seed=1), _uniform(500, path="reconstruction")]
    correlation = torch.corrcoef(torch.cat(streams, dim=1).T).fill_diagonal_(0)
    assert correlation.abs().max() < 4.5 / 500**0.5


def test_a_uniform_range_is_the_same_in_every_process_whatever_its_rank() -> None:
    code = (
        "import torch; from tgdp.config import MaskConfig\n"
        "from tgdp.model.schedules import Moment, mask_ratios\n"
        "torch.manual_seed(7)\n"
        "mask = MaskConfig(ratio=0.8, from_ratio=0.2, schedule='uniform')\n"
        "print(*[mask_ratios(mask, Moment(k, 5, 3), 0, 'contrastive').audio for k in range(5)])"
    )
    environment = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert [float(word) for word in done.stdout.split()] == pytest.approx(
        _uniform(5)[:, 0].tolist(), abs=1e-7
    )


def test_momentum_is_constant_or_rises_to_one_at_the_last_step() -> None:
    constant = TeacherConfig(momentum=0.99)
    assert {momentum(constant, _at(step)) for step in range(11)} == {0.99}
    rising = TeacherConfig(momentum=0.9, momentum_schedule="cosine")
    found = [momentum(rising, _at(step)) for step in range(11)]
    assert found[0] == pytest.approx(0.9)
    assert found[5] == pytest.approx(0.95)
    assert found[10] == 1.0
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("warmup", "moment", "expected"),
    [
        ({}, _at(0), True),
        ({"warmup_steps": 3}, _at(2), False),
        ({"warmup_steps": 3}, _at(3), True),
        ({"warmup_epochs": 2}, _at(9, epoch=1), False),
        ({"warmup_epochs": 2}, _at(9, epoch=2), True),
        ({"selection": "random"}, _at(9), False),
    ],
)
def test_the_teacher_chooses_once_the_warm_up_is_over(warmup, moment, expected) -> None:
    assert is_guided(ContrastiveMask(**warmup), moment) is expected
