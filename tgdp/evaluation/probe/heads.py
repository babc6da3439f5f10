"""The two probes: the paper's, which is a small Transformer, and a truly linear one."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.model.blocks import Block, init_linear

NUM_LAYERS = 2
MAX_HEADS = 12
MLP_RATIO = 4.0
CLS_SD = 0.02
"""Source: released `CAVMAEFT`, aggregate `self_attention_cls`, for all four."""


def heads_for(width: int) -> int:
    """Return the number of heads: 12, or the largest number below it that divides the width.

    Args:
        width: Token width.

    Example:
        >>> heads_for(1536), heads_for(128)
        (12, 8)
    """
    return next(heads for heads in range(MAX_HEADS, 0, -1) if width % heads == 0)


class AttentionProbe(nn.Module):
    """Two Transformer layers over the time steps of a clip, then a linear layer on a learned CLS.

    The time steps carry no positions: the released code has the line for them commented out.

    Args:
        width: Token width, 1536 at full size.
        num_classes: Classes.

    Source: method section 4; released `CAVMAEFT`, aggregate `self_attention_cls`.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * CLS_SD)
        self.blocks = nn.ModuleList(
            [Block(width, heads_for(width), MLP_RATIO) for _ in range(NUM_LAYERS)]
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)
        self.apply(init_linear)

    def forward(self, tokens: Float[Tensor, "B S W"]) -> Float[Tensor, "B C"]:
        """Return the logits of every clip."""
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        for block in self.blocks[:-1]:
            tokens = block(tokens)
        # Of the last layer only the CLS is read.
        return self.head(self.norm(self.blocks[-1](tokens, 1)[:, 0]))


class LinearProbe(nn.Module):
    """One linear layer on the mean over time, standardised.

    Args:
        mean: Mean of every feature over the training clips, (W,).
        deviation: Its standard deviation, (W,); a feature that never changes is left unscaled.
        num_classes: Classes.

    Source: ours.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", torch.where(deviation > 0, deviation, 1.0))
        self.head = nn.Linear(len(mean), num_classes)
        # Starts from no opinion; a linear layer has no symmetry to break.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, features: Float[Tensor, "B W"]) -> Float[Tensor, "B C"]:
        """Return the logits of every clip."""
        return self.head((features - self.mean) / self.deviation)


def num_parameters(probe: nn.Module) -> int:
    """Return how many numbers a probe learns.

    Args:
        probe: Either of them.
    """
    return sum(parameter.numel() for parameter in probe.parameters())
