"""InfoNCE between audio and visual global vectors."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tgdp.losses.gather import Gathered, gather, own


class InfoNce(NamedTuple):
    """The loss, and the share of queries whose nearest candidate is their own."""

    loss: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]


def contrastive_loss(
    audio: Float[Tensor, "B D"],
    image: Float[Tensor, "B D"],
    temperature: Float[Tensor, ""] | float,
    *,
    two_way: bool = True,
    gathered: bool = True,
) -> InfoNce:
    """Return InfoNCE over the pairs of the batch.

    Args:
        audio: Global vectors of the sounds; they are normalised here.
        image: Global vectors of the pictures, pair by pair.
        temperature: Divides the cosines.
        two_way: The mean of both directions; otherwise each picture looks for its sound.
        gathered: Candidates come from all ranks, with gradients; otherwise from this rank alone.

    Source: TG-DP section 3.3; released lines 613 to 644 (one rank) and 562 to 610 (gathered).
    Upstream: the gathered form needs a process group even on one device, and equal batches.
    """
    bring = gather if gathered else own
    sounds, pictures = F.normalize(audio.float(), dim=-1), F.normalize(image.float(), dim=-1)
    sides = [_side(pictures, bring(sounds), temperature)]
    if two_way:
        sides.append(_side(sounds, bring(pictures), temperature))
    loss, accuracy = (torch.stack(values).mean() for values in zip(*sides, strict=True))
    return InfoNce(loss, accuracy)


def _side(queries: Tensor, candidates: Gathered, temperature: Tensor | float) -> InfoNce:
    logits = queries @ candidates.vectors.T / temperature
    truth = torch.arange(len(queries), device=queries.device) + candidates.first
    hits = (logits.detach().argmax(dim=1) == truth).float().mean()
    return InfoNce(F.cross_entropy(logits, truth), hits)
