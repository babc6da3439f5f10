"""The weighted sum: each weight multiplies its part, and a part without a weight is left out."""

from typing import Any

import pytest
import torch

from tgdp import presets
from tgdp.config import Config, override
from tgdp.losses.objective import Losses, Reconstruction, objective

DISTILLED = {"teacher.enabled": True, "distillation.weight": 1.0}
WEIGHTS = {
    "reconstruction.weight": 0.5,
    "reconstruction.audio_weight": 3.0,
    "reconstruction.image_weight": 7.0,
    "contrastive.weight": 0.2,
    "distillation.weight": 11.0,
}


def _objective(changes: dict[str, Any], *, reconstructs: bool = True) -> Losses:
    config: Config = override(presets.tiny(), {**DISTILLED, **changes})
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    pair = tuple(Reconstruction(draw(4, 6, 8), draw(4, 6, 8), draw(4, 6) > 0) for _ in range(2))
    student, teacher = (draw(4, 5), draw(4, 5)), (draw(4, 5), draw(4, 5))
    return objective(
        config,
        (pair[0], pair[1]) if reconstructs else None,
        student,
        teacher if config.distills else None,
        0.1,
    )


def test_the_total_is_the_weighted_sum_of_its_parts():
    losses = _objective(WEIGHTS)
    by_hand = (
        0.5 * (3 * losses.reconstruction_audio + 7 * losses.reconstruction_image)
        + 0.2 * losses.contrastive
        + 11 * losses.distillation
    )
    assert losses.total.item() == pytest.approx(by_hand.item(), rel=1e-6)


@pytest.mark.parametrize("key", WEIGHTS)
def test_a_weight_changes_the_total_alone(key):
    base, other = _objective({}), _objective({key: WEIGHTS[key]})
    assert other.total != base.total
    assert other._replace(total=base.total) == base


def test_parts_without_a_weight_are_not_computed():
    losses = _objective({"contrastive.weight": 0.0}, reconstructs=False)
    assert losses.reconstruction_audio is losses.reconstruction_image is None
    assert losses.contrastive is losses.contrastive_accuracy is None
    assert losses.total.item() == pytest.approx(losses.distillation.item())
    alone = _objective({"distillation.weight": 0.0, "teacher.enabled": False})
    assert alone.distillation is None


def test_a_modality_without_a_weight_sends_no_gradient_and_is_still_reported():
    config = override(presets.tiny(), {"reconstruction.audio_weight": 0.0})
    predicted = [torch.ones(1, 2, 3, requires_grad=True) for _ in range(2)]
    hidden = torch.ones(1, 2, dtype=torch.bool)
    sound, sight = (Reconstruction(one, torch.zeros(1, 2, 3), hidden) for one in predicted)
    losses = objective(config, (sound, sight), None, None, 0.1)
    losses.total.backward()
    assert losses.reconstruction_audio.item() == losses.total.item() == 1.0
    assert not predicted[0].grad.any()
    assert predicted[1].grad.all()
