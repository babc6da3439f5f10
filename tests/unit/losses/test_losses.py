"""Losses against values worked out by hand."""

import math

import pytest
import torch

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
