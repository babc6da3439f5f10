"""Hours on more GPUs: what ranks exchange, what hides behind a step, what runs take together."""

from itertools import pairwise
from typing import Any

import pytest

from tests.measured_steps import PACE
from tgdp import presets
from tgdp.config import override
from tgdp.losses.objective import Losses
from tgdp.model.parameters import num_parameters
from tgdp.sweep.scaling import LOSS_TERMS, bandwidth, exchange, nvlink, scale, steps_of


# Two modalities of 10 vectors of width 64: 2 x 10 x 64 x 4 = 5,120 bytes.
@pytest.mark.parametrize(
    ("world", "gradients", "vectors"),
    [
        (1, 0, 0),
        (2, 222_880 * 4, 1.5 * 5_120),  # 2 (n-1)/n = 1, and 3 (n-1)/n = 1.5
        (8, 1.75 * 222_880 * 4, 2.625 * 5_120),
    ],
)
def test_what_a_rank_sends_by_hand(world: int, gradients: float, vectors: float) -> None:
    sent = exchange(presets.tiny(), 10, world)
    assert sent.gradients == pytest.approx(gradients)
    assert sent.vectors == pytest.approx(vectors)


@pytest.mark.parametrize(
    ("changes", "share"),
    [
        ({"contrastive.negatives": "local"}, 0),
        ({"contrastive.weight": 0.0}, 0),
        ({"contrastive.directions": "one_way"}, 0.5),
    ],
)
def test_vectors_are_exchanged_only_where_they_are_compared(
    changes: dict[str, Any], share: float
) -> None:
    config = presets.tiny()
    both = exchange(config, 10, 2).vectors
    assert exchange(override(config, changes), 10, 2).vectors == share * both


def test_all_losses_are_counted() -> None:
    assert len(Losses._fields) == LOSS_TERMS


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("NVIDIA H200", 450e9),
        ("NVIDIA H100 80GB HBM3", 450e9),
        ("NVIDIA A100-SXM4-80GB", 300e9),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H200 NVL", None),
        ("NVIDIA L4", None),
    ],
)
def test_nvlink_is_known_by_the_name_of_the_card(name: str, rate: float | None) -> None:
    assert nvlink(name) == rate
    assert bandwidth(name, 8, network=1e9) == (rate or 1e9)
    assert bandwidth(name, 9, network=1e9) == 1e9


def test_hours_by_hand() -> None:
    # 10,000 pairs make 19 steps an epoch, 35 epochs 665; on 8 GPUs 64 pairs each take 104 ms.
    config = presets.paper()
    scaled = scale([(config, PACE)], 10_000, 8)
    assert scaled is not None
    assert (scaled.share, scaled.origin) == (64, "measured")
    vectors = 2 * 512 * 768 * 4 * 3 * 7 / 8
    waited = (vectors + 2 * 7 / 8 * 6 * 4) / 450e9
    gradients = 2 * 7 / 8 * num_parameters(config) * 4 / 450e9
    assert scaled.hours.least == pytest.approx(665 * (0.104 + waited) / 3600)
    assert scaled.hours.most == pytest.approx(665 * (0.104 + waited + gradients) / 3600)
    assert scaled.total == pytest.approx([8 * hours for hours in scaled.hours])
    assert scaled.pairs_per_s == pytest.approx(512 / (0.104 + waited))


def test_where_the_network_is_slower_than_the_step_it_is_what_counts() -> None:
    config = presets.paper()
    scaled = scale([(config, PACE)], 10_000, 32, network=1e9)
    assert scaled is not None
    sent = exchange(config, 512, 32)
    assert scaled.hours.least == pytest.approx(665 * sum(sent) / 1e9 / 3600)


def test_more_gpus_are_never_slower_nor_cheaper() -> None:
    runs = [(presets.paper(), PACE)]
    scaled = [one for gpus in (1, 2, 4, 8) if (one := scale(runs, 10_000, gpus))]
    assert len(scaled) == 4
    for few, many in pairwise(scaled):
        assert many.hours.most < few.hours.most
        assert many.total.least > few.total.least
        assert many.pairs_per_s > few.pairs_per_s
    assert all(one.hours.least <= one.hours.most for one in scaled)


def test_runs_are_summed_and_the_fastest_needs_most() -> None:
    config = presets.paper()
    light = override(config, {"contrastive.mask.ratio": 0.75})
    one, other, both = (
        scale(runs, 10_000, 8)
        for runs in ([(config, PACE)], [(light, PACE)], [(config, PACE), (light, PACE)])
    )
    assert one is not None
    assert other is not None
    assert both is not None
    assert both.total.most == pytest.approx(one.total.most + other.total.most)
    assert both.hours.most == pytest.approx((one.hours.most + other.hours.most) / 2)
    assert one.pairs_per_s < other.pairs_per_s == both.pairs_per_s


def test_nothing_is_said_of_a_sweep_of_which_one_run_is_not_known() -> None:
    assert scale([(presets.paper(), PACE), (presets.paper(), None)], 10_000, 8) is None


@pytest.mark.parametrize(
    ("changes", "pairs", "expected"),
    [
        ({}, 10_000, (35 * 19, 512)),
        ({}, 100, (35, 100)),
        ({}, 0, (0, 0)),
        ({"training.epochs": None, "training.steps": 7}, 10_000, (7, 512)),
    ],
)
def test_steps_are_those_of_training(
    changes: dict[str, Any], pairs: int, expected: tuple[int, int]
) -> None:
    assert steps_of(override(presets.paper(), changes), pairs) == expected


def test_a_batch_in_parts_takes_as_many_steps() -> None:
    parts = override(presets.paper(), {"training.accumulation": 8})
    scaled = scale([(parts, PACE)], 10_000, 1)
    assert scaled is not None
    assert scaled.share == 512
    assert scaled.hours.least == pytest.approx(665 * 8 * 0.104 / 3600)
    assert scale([(parts, PACE)], 10_000, 65) is None
