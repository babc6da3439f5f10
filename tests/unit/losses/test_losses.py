"""Losses against values worked out by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from tgdp.losses.contrastive import contrastive_loss
from tgdp.losses.distillation import distillation_loss
from tgdp.losses.reconstruction import reconstruction_loss


def test_only_hidden_patches_count():
    target = torch.zeros(1, 3, 2)
    predicted = torch.tensor([[[1.0, 1.0], [2.0, 2.0], [9.0, 9.0]]])
    masked = torch.tensor([[True, True, False]])
    loss = reconstruction_loss(predicted, target, masked, pixel_norm=False)
    assert loss.item() == pytest.approx((1 + 4) / 2)


def test_pixel_norm_makes_brightness_and_contrast_irrelevant():
    target = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(0))
    masked = torch.ones(2, 4, dtype=torch.bool)
    predicted = torch.zeros(2, 4, 16)
    plain = reconstruction_loss(predicted, target, masked, pixel_norm=True)
    scaled = reconstruction_loss(predicted, 5 * target + 3, masked, pixel_norm=True)
    assert scaled.item() == pytest.approx(plain.item(), rel=1e-4)


def test_equal_vectors_everywhere_give_the_logarithm_of_the_batch():
    vectors = torch.ones(8, 4)
    loss, _ = contrastive_loss(vectors, vectors, 0.05)
    assert loss.item() == pytest.approx(math.log(8), rel=1e-5)


def test_orthogonal_pairs_give_the_closed_form():
    vectors = 3 * torch.eye(4)
    loss, accuracy = contrastive_loss(vectors, vectors, 0.5)
    assert loss.item() == pytest.approx(math.log(1 + 3 * math.exp(-2)), rel=1e-5)
    assert accuracy.item() == 1.0


def test_info_nce_is_symmetric_and_blind_to_the_order_of_the_pairs():
    generator = torch.Generator().manual_seed(0)
    audio, image = (torch.randn(6, 5, generator=generator) for _ in range(2))
    loss, _ = contrastive_loss(audio, image, 0.1)
    assert contrastive_loss(image, audio, 0.1)[0].item() == pytest.approx(loss.item(), rel=1e-5)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    shuffled, _ = contrastive_loss(audio[order], image[order], 0.1)
    assert shuffled.item() == pytest.approx(loss.item(), rel=1e-5)


def test_distillation_is_four_for_opposite_vectors_and_reaches_the_student_alone():
    student = torch.tensor([[1.0, 0.0]], requires_grad=True)
    teacher = torch.tensor([[-5.0, 0.0]], requires_grad=True)
    loss = distillation_loss(student, teacher)
    assert loss.item() == pytest.approx(4.0)
    distillation_loss(torch.tensor([[1.0, 0.0]], requires_grad=True), teacher).backward()
    assert teacher.grad is None


def _pair(batch: int = 6, width: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    audio, image = (torch.randn(batch, width, generator=generator) for _ in range(2))
    return audio, image


def test_pixel_norm_is_the_deviation_from_each_patch_mean_in_its_own_deviations():
    target = torch.tensor([[[1.0, 3.0], [5.0, 5.0]]])
    predicted = torch.zeros(1, 2, 2)
    masked = torch.tensor([[True, False]])
    loss = reconstruction_loss(predicted, target, masked, pixel_norm=True)
    assert loss.item() == pytest.approx(0.5, rel=1e-5)  # (-1 and 1) over the deviation, root of 2
    flat = reconstruction_loss(predicted, target, ~masked, pixel_norm=True)
    assert flat.item() == 0.0


def test_one_way_is_the_picture_looking_for_its_sound():
    audio, image = _pair()
    one_way, accuracy = contrastive_loss(audio, image, 0.2, two_way=False)
    logits = F.normalize(image, dim=1) @ F.normalize(audio, dim=1).T / 0.2
    by_hand = (logits.logsumexp(dim=1) - logits.diagonal()).mean()
    assert one_way.item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert accuracy.item() == pytest.approx(
        (logits.argmax(dim=1) == torch.arange(6)).float().mean()
    )


def test_two_way_is_the_mean_of_both_directions():
    audio, image = _pair()
    there, back = (
        contrastive_loss(*pair, 0.2, two_way=False) for pair in ((audio, image), (image, audio))
    )
    both = contrastive_loss(audio, image, 0.2)
    assert both.loss.item() == pytest.approx((there.loss + back.loss).item() / 2, rel=1e-6)
    assert both.accuracy.item() == pytest.approx((there.accuracy + back.accuracy).item() / 2)
    assert there.loss.item() != pytest.approx(back.loss.item(), rel=1e-3)


def test_a_pair_alone_has_nothing_to_be_told_from():
    audio, image = _pair(batch=1)
    loss, accuracy = contrastive_loss(audio.requires_grad_(), image, 0.05)
    loss.backward()
    assert loss.item() == 0.0
    assert accuracy.item() == 1.0
    assert torch.equal(audio.grad, torch.zeros_like(audio))


def test_gathered_and_local_negatives_are_the_same_where_there_is_one_rank():
    for two_way in (True, False):
        gathered, local = (
            contrastive_loss(*_pair(), 0.1, two_way=two_way, gathered=gathered).loss
            for gathered in (True, False)
        )
        assert torch.equal(gathered, local)


def test_the_gradient_of_a_learned_temperature_is_that_of_finite_differences():
    audio, image = (part.double() for part in _pair())
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    contrastive_loss(audio, image, temperature).loss.backward()
    up, down = (contrastive_loss(audio, image, 0.3 + step).loss.item() for step in (1e-2, -1e-2))
    assert temperature.grad.item() == pytest.approx((up - down) / 2e-2, rel=1e-2)


@pytest.mark.parametrize(
    ("form", "normalize", "expected"),
    [
        ("squared_l2_sum", False, (3 - 0) ** 2 + (4 - 2) ** 2),
        ("squared_l2_mean", False, ((3 - 0) ** 2 + (4 - 2) ** 2) / 2),
        ("squared_l2_sum", True, 0.6**2 + 0.2**2),
        ("squared_l2_mean", True, (0.6**2 + 0.2**2) / 2),
        ("cosine", True, 1 - 0.8),
    ],
)
def test_each_form_of_distillation_by_hand(form, normalize, expected):
    student, teacher = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])
    loss = distillation_loss(student, teacher, form, normalize=normalize)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_of_normalised_vectors_the_squared_distance_is_twice_the_cosine_form():
    squared, cosine = (distillation_loss(*_pair(), form) for form in ("squared_l2_sum", "cosine"))
    assert squared.item() == pytest.approx(2 * cosine.item(), rel=1e-5)


@pytest.mark.parametrize("form", ["squared_l2_sum", "squared_l2_mean", "cosine"])
def test_distillation_is_zero_at_the_teacher_and_a_mean_over_the_batch(form):
    student, teacher = _pair()
    assert distillation_loss(student, student, form).item() == pytest.approx(0, abs=1e-6)
    rows = [distillation_loss(student[i : i + 1], teacher[i : i + 1], form) for i in range(6)]
    whole = distillation_loss(student, teacher, form)
    assert whole.item() == pytest.approx(torch.stack(rows).mean().item(), rel=1e-5)
