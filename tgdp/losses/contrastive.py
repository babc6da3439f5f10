"""InfoNCE between audio and visual global vectors."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def contrastive_loss(
    audio: Float[Tensor, "B D"], image: Float[Tensor, "B D"], temperature: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return InfoNCE, the mean of both directions, and the share of correct first choices.

    Args:
        audio: Global vectors of the sounds; they are normalised here.
        image: Global vectors of the pictures, pair by pair.
        temperature: Divides the cosines.

    Source: TG-DP section 3.3; released `forward_contrastive_all_gather`.
    """
    logits = F.normalize(audio.float(), dim=-1) @ F.normalize(image.float(), dim=-1).T / temperature
    truth = torch.arange(len(logits), device=logits.device)
    loss = (F.cross_entropy(logits, truth) + F.cross_entropy(logits.T, truth)) / 2
    with torch.no_grad():
        hits = [(side.argmax(dim=1) == truth).float().mean() for side in (logits, logits.T)]
    return loss, (hits[0] + hits[1]) / 2
