"""Which patches stay visible. The two mask ratios and this choice are what the paper is about.

A selection is always made from a score a patch: the patches with the lowest score stay. For random
selection the score is uniform noise, for guided selection it is the teacher's priority, negated.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tgdp.config import num_kept


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

    Source: MAE; released `random_masking_unstructured`.
    """
    return _keep_lowest(noise, ratio)


def guided(priority: Float[Tensor, "B N"], ratio: float) -> Selection:
    """Return the patches that the teacher ranks highest as visible.

    Args:
        priority: Teacher attention, natural patch order.
        ratio: Share of the patches hidden, in [0, 1).

    Source: TG-DP section 3.3. Upstream: the function that would do this is called but not defined.
    """
    return _keep_lowest(-priority, ratio)


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


def _keep_lowest(score: Tensor, ratio: float) -> Selection:
    order = score.argsort(dim=1, stable=True)
    kept = num_kept(score.shape[1], ratio)
    ids_restore = order.argsort(dim=1)
    return Selection(order[:, :kept], ids_restore, ids_restore >= kept)
