"""Selections worked out by hand."""

import torch

from tgdp.model import masking


def test_the_lowest_noise_stays_visible():
    chosen = masking.random(torch.tensor([[0.3, 0.1, 0.9, 0.2]]), 0.5)
    assert chosen.ids_keep.tolist() == [[1, 3]]
    assert chosen.masked.tolist() == [[True, False, True, False]]


def test_ratio_zero_hides_nothing():
    assert not masking.random(torch.rand(3, 7), 0.0).masked.any()


def test_restore_puts_visible_tokens_back_and_mask_tokens_elsewhere():
    tokens = torch.arange(8.0).view(1, 4, 2)
    chosen = masking.random(torch.tensor([[0.3, 0.1, 0.9, 0.2]]), 0.5)
    visible = masking.gather(tokens, chosen.ids_keep)
    whole = masking.restore(visible, torch.full((1, 1, 2), -1.0), chosen.ids_restore)
    assert whole.tolist() == [[[-1, -1], [2, 3], [-1, -1], [6, 7]]]
