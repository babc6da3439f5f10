"""Which patches stay visible, at random: unstructured, or whole stretches of time or frequency.

A selection is always made from a score a patch: the patches with the lowest score stay. What the
teacher has to say about it is in `selection`.

"Released lines" here and elsewhere are those of `src/models/cavmae_dp.py`, commit 978274c.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tgdp.config import num_kept
from tgdp.model.tokens import Grid

Structure = Literal["none", "time", "freq", "both"]

SHARE_OF_BOTH = 0.7
"""With `both`, the share of the ratio by which columns and rows are hidden each (released code)."""


class Selection(NamedTuple):
    """The outcome for one modality.

    Attributes:
        ids_keep: Index of each visible patch.
        ids_restore: Where each patch stands in "visible ones first" order.
        masked: True where a patch is hidden.
    """

    ids_keep: Int[Tensor, "B K"]
    ids_restore: Int[Tensor, "B N"]
    masked: Bool[Tensor, "B N"]


def random(noise: Float[Tensor, "B N"], ratio: float) -> Selection:
    """Return the patches with the lowest noise as visible.

    Args:
        noise: Uniform in [0, 1).
        ratio: Share of the patches hidden, in [0, 1).

    Source: MAE; released lines 297 to 322 (`random_masking_unstructured`).
    """
    return keep_lowest(noise, ratio)


def structured(
    noise: Float[Tensor, "B M"], ratio: float, grid: Grid, structure: Structure
) -> Selection:
    """Return the visible patches where whole columns (time), rows (frequency) or both are hidden.

    The lines are int(lines x ratio) of the columns or rows, or with `both` 0.7 of that of each; the
    rest of the exact count is made up by single patches. With `both` and a ratio below 0.82 the
    lines can hold more than the count: then their crossings go first, and what stays visible of
    the lines is random.

    Args:
        noise: Uniform in [0, 1): one number a patch, then one a row, then one a column.
        ratio: Share of the patches hidden, in [0, 1).
        grid: Rows are frequency, columns time.
        structure: Which lines are hidden.

    Source: CAV-MAE; released lines 324 to 371 (`random_masking_structured`). Upstream: the grid is
    a literal 8 x 64, so any other length fails; the lines come from Python's global generator.
    """
    patches, rows, columns = noise.split([grid.num_patches, grid.rows, grid.columns], dim=1)
    score = patches.unflatten(1, (grid.rows, grid.columns))
    share = ratio * (SHARE_OF_BOTH if structure == "both" else 1.0)
    if structure in ("freq", "both"):
        score = score + _hidden_lines(rows, share)[:, :, None]
    if structure in ("time", "both"):
        score = score + _hidden_lines(columns, share)[:, None, :]
    return keep_lowest(score.flatten(1), ratio)


def num_draws(grid: Grid, structure: Structure) -> int:
    """Return how many random numbers a sample takes."""
    lines = 0 if structure == "none" else grid.rows + grid.columns
    return grid.num_patches + lines


def _hidden_lines(noise: Tensor, share: float) -> Tensor:
    """Return 1 for the int(n x share) lines with the highest noise, else 0."""
    rank = noise.argsort(dim=1, stable=True).argsort(dim=1)
    return (rank >= noise.shape[1] - int(noise.shape[1] * share)).to(noise.dtype)


def keep_lowest(score: Float[Tensor, "B N"], ratio: float) -> Selection:
    """Return the selection that keeps the patches with the lowest score, exactly as many as due."""
    order = score.argsort(dim=1, stable=True)
    kept = num_kept(score.shape[1], ratio)
    ids_restore = order.argsort(dim=1)
    return Selection(order[:, :kept], ids_restore, ids_restore >= kept)


def gather(tokens: Float[Tensor, "B N D"], ids_keep: Int[Tensor, "B K"]) -> Float[Tensor, "B K D"]:
    """Return the visible tokens."""
    return tokens.gather(1, ids_keep[:, :, None].expand(-1, -1, tokens.shape[2]))


def restore(
    visible: Float[Tensor, "B K D"],
    mask_token: Float[Tensor, "1 1 D"],
    ids_restore: Int[Tensor, "B N"],
) -> Float[Tensor, "B N D"]:
    """Return all tokens in natural order, hidden ones replaced by the mask token."""
    batch, kept, width = visible.shape
    hidden = mask_token.expand(batch, ids_restore.shape[1] - kept, width).to(visible.dtype)
    return gather(torch.cat([visible, hidden], dim=1), ids_restore)
