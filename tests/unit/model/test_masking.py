"""Selections worked out by hand."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tgdp.config import num_kept
from tgdp.model import masking
from tgdp.model.tokens import Grid


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


STEPS = st.integers(1, 64).map(lambda columns: 16 * columns)
RATIOS = st.floats(0, 0.99)


def _structured(steps: int, ratio: float, structure: Any, batch: int = 3) -> torch.Tensor:
    """Return what is hidden, (B, rows, columns)."""
    grid = Grid(8, steps // 16)
    noise = _noise_for(grid, structure, batch, steps)
    chosen = masking.structured(noise, ratio, grid, structure)
    kept = num_kept(grid.num_patches, ratio)
    assert chosen.ids_keep.shape == (batch, kept)
    assert (chosen.masked.sum(dim=1) == grid.num_patches - kept).all()
    return chosen.masked.unflatten(1, grid)


@settings(deadline=None)
@given(steps=STEPS, ratio=RATIOS)
def test_time_hides_whole_columns_at_any_length(steps: int, ratio: float) -> None:
    masked = _structured(steps, ratio, "time")
    lines = int(masked.shape[2] * ratio)
    whole = masked.all(dim=1).sum(dim=1)
    assert (whole >= lines).all()
    # What is left of the count is less than a column more, and falls on single patches.
    assert (masked.flatten(1).sum(dim=1) - 8 * lines < 9).all()


@settings(deadline=None)
@given(steps=STEPS, ratio=RATIOS)
def test_freq_hides_whole_rows_at_any_length(steps: int, ratio: float) -> None:
    masked = _structured(steps, ratio, "freq")
    lines, columns = int(8 * ratio), masked.shape[2]
    assert (masked.all(dim=2).sum(dim=1) >= lines).all()
    assert (masked.flatten(1).sum(dim=1) - columns * lines < columns + 1).all()


@settings(deadline=None)
@given(steps=STEPS, ratio=RATIOS)
def test_both_hides_rows_and_columns_of_seven_tenths_at_any_length(
    steps: int, ratio: float
) -> None:
    masked = _structured(steps, ratio, "both", batch=1)[0]
    rows, columns = masked.shape
    noise = _noise_for(Grid(rows, columns), "both", 1, steps)[0]
    on_lines = torch.zeros(rows, columns)
    of_rows, of_columns = noise[rows * columns :].split([rows, columns])
    on_lines[of_rows.argsort()[rows - int(rows * (ratio * 0.7)) :]] += 1
    on_lines[:, of_columns.argsort()[columns - int(columns * (ratio * 0.7)) :]] += 1
    if (on_lines > 0).sum() <= masked.sum():
        assert masked[on_lines > 0].all()
    else:  # the lines alone are more than the count
        assert not masked[on_lines == 0].any()
    crossings = on_lines == 2
    assert masked[crossings].all() or crossings.sum() > masked.sum()


def test_lines_are_drawn_evenly() -> None:
    grid = Grid(8, 12)
    noise = _noise_for(grid, "time", 6000, 0)
    masked = masking.structured(noise, 0.5, grid, "time").masked.unflatten(1, grid)
    frequency = masked.all(dim=1).float().mean(dim=0)
    assert frequency.tolist() == pytest.approx([0.5] * 12, abs=4 * 0.5 / 6000**0.5)


def test_no_structure_takes_a_number_a_patch_and_a_structure_one_a_line_more() -> None:
    assert masking.num_draws(Grid(8, 6), "none") == 48
    assert {masking.num_draws(Grid(8, 6), s) for s in ("time", "freq", "both")} == {62}


def _noise_for(grid: Grid, structure: Any, batch: int, seed: int) -> torch.Tensor:
    num = masking.num_draws(grid, structure)
    return torch.rand(batch, num, generator=torch.Generator().manual_seed(seed))
