"""Which patches the contrastive pass sees when the teacher has a say: what the paper is about.

The teacher gives a priority a patch (`teacher`). From it an order of the patches is made, the first
of them stay, and on request only a share of the places goes by that order, the rest at random.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tgdp.config import num_kept
from tgdp.model.masking import Selection, keep_lowest

Rule = Literal["guided", "sampled", "guided_shuffled"]


def select(
    rule: Rule,
    priority: Float[Tensor, "B N"],
    noise: Float[Tensor, "B M"],
    ratio: float,
    share: float = 1.0,
) -> Selection:
    """Return what stays visible by a rule.

    Args:
        rule: `guided`, `sampled` or `guided_shuffled`.
        priority: Teacher attention, natural patch order; higher is more worth seeing.
        noise: Uniform in [0, 1): the first N for the rule, the next N for what chance decides;
            as many as `num_draws` says, more are not looked at.
        ratio: Share of the patches hidden, in [0, 1).
        share: Share of the visible patches taken by the rule, the rest at random; in (0, 1].

    Source: TG-DP section 3.3; the share is ours.
    """
    num = priority.shape[1]
    merit = RULES[rule](priority, noise[:, :num])
    if share == 1:
        return keep_lowest(-merit, ratio)
    return mixed(merit, noise[:, num : 2 * num], ratio, share)


def num_draws(rule: Rule, num_patches: int, share: float = 1.0) -> int:
    """Return how many random numbers a sample takes."""
    if share < 1:
        return 2 * num_patches
    return 0 if rule == "guided" else num_patches


def guided(priority: Float[Tensor, "B N"], noise: Float[Tensor, "B M"]) -> Float[Tensor, "B N"]:
    """Return the priority itself: the patches that the teacher ranks highest stay.

    Source: TG-DP section 3.3. Upstream: the function that would do this, `ranked_masking`, is
    called (released lines 438 and 439) and defined nowhere.
    """
    del noise
    return priority


def sampled(priority: Float[Tensor, "B N"], noise: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Return Gumbel-perturbed log priorities: top-k of it samples without replacement.

    The patches are drawn one after another, each in proportion to its priority among those left.

    Source: TG-DP section 3.3. Upstream (released lines 395 to 409): the logits are the raw
    attention means, whose softmax is almost uniform; here they are the logarithms of the priorities
    normalised to 1.
    """
    tiny = torch.finfo(torch.float32).tiny
    share = priority.float() / priority.float().sum(dim=1, keepdim=True).clamp_min(tiny)
    gumbel = -(-noise.clamp_min(tiny).log()).clamp_min(tiny).log()
    return share.clamp_min(tiny).log() + gumbel


def guided_shuffled(
    priority: Float[Tensor, "B N"], noise: Float[Tensor, "B N"]
) -> Float[Tensor, "B N"]:
    """Return the priorities in the order of shuffled tokens, as if it were the natural order.

    Source: what the released code does. Its teacher shuffles all tokens before the first layer, and
    the ranks it returns count places in that order (released lines 427 to 436, 393 and 674).
    """
    return priority.gather(1, noise.argsort(dim=1, stable=True))


def mixed(
    merit: Float[Tensor, "B N"], noise: Float[Tensor, "B N"], ratio: float, share: float
) -> Selection:
    """Return the patches with the highest merit and, for the other places, random ones.

    Args:
        merit: Higher stays first.
        noise: Uniform in [0, 1).
        ratio: Share of the patches hidden.
        share: Share of the visible patches that merit decides, rounded to whole patches.

    Source: ours. Guidance by a young teacher collapsed in one seed of three without it.
    """
    by_merit = round(share * num_kept(merit.shape[1], ratio))
    rank = (-merit).argsort(dim=1, stable=True).argsort(dim=1)
    # Below all noise, so that these stay whatever the draw.
    return keep_lowest(torch.where(rank < by_merit, noise - 1, noise), ratio)


RULES = {"guided": guided, "sampled": sampled, "guided_shuffled": guided_shuffled}
"""Each turns priority and noise into a merit; the names are the values of the configuration."""
