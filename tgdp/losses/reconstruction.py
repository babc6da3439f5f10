"""How well hidden patches were predicted."""

from jaxtyping import Bool, Float
from torch import Tensor


def reconstruction_loss(
    predicted: Float[Tensor, "B N P"],
    target: Float[Tensor, "B N P"],
    masked: Bool[Tensor, "B N"],
    *,
    pixel_norm: bool,
) -> Float[Tensor, ""]:
    """Return the mean squared error over the pixels of hidden patches.

    Args:
        predicted: Pixels of every patch.
        target: The true pixels.
        masked: True where a patch was hidden.
        pixel_norm: Targets are normalised patch by patch first.

    Source: MAE; released lines 647 to 667 (`forward_mae_loss`).
    """
    if pixel_norm:
        mean, variance = target.mean(dim=-1, keepdim=True), target.var(dim=-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    error = (predicted.float() - target).square().mean(dim=-1)
    return (error * masked).sum() / masked.sum()
