"""Transformer layers: the plain one of the branches and the decoder, and the joint one."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Stream = Literal["shared", "audio", "image"]
Direction = Literal["patch_to_cls", "cls_to_patch"]


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        width: Token width, a multiple of the number of heads.
        num_heads: Heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the update of every token."""
        query, key, value = (self._heads(part) for part in self.qkv(tokens).chunk(3, dim=-1))
        return self._merge(F.scaled_dot_product_attention(query, key, value))

    def cls_update(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B 1 D"]:
        """Return the update of the first token alone: the others serve as keys and values only."""
        query, key, value = self._first_query(tokens)
        return self._merge(F.scaled_dot_product_attention(query, key, value))

    def cls_to_patch(
        self, tokens: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B 1 D"], Float[Tensor, "B P"]]:
        """Return the first token's update and its attention to each patch, averaged over heads."""
        query, key, value = self._first_query(tokens)
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        probabilities = scores.softmax(dim=-1)  # (B, heads, 1, N)
        return self._merge(probabilities @ value), probabilities[:, :, 0, 1:].mean(dim=1)

    def patch_to_cls(
        self, tokens: Float[Tensor, "B N D"]
    ) -> tuple[Float[Tensor, "B 1 D"], Float[Tensor, "B P"]]:
        """Return the first token's update and each patch's attention to it, averaged over heads."""
        query, key, value = (self._heads(part) for part in self.qkv(tokens).chunk(3, dim=-1))
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (B, heads, N, N)
        # Only column 0 of the probabilities is wanted, so the softmax is never written out.
        column = (scores[..., 0] - scores.logsumexp(dim=-1)).exp()
        update = F.scaled_dot_product_attention(query[:, :, :1], key, value)
        return self._merge(update), column[:, :, 1:].mean(dim=1)

    def _first_query(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width = tokens.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        query = F.linear(tokens[:, :1], weight[:width], bias[:width])
        key, value = F.linear(tokens, weight[width:], bias[width:]).chunk(2, dim=-1)
        return self._heads(query), self._heads(key), self._heads(value)

    def _heads(self, tokens: Tensor) -> Tensor:
        batch, num, width = tokens.shape  # (B, N, D) -> (B, heads, N, D / heads)
        return tokens.view(batch, num, self.num_heads, width // self.num_heads).transpose(1, 2)

    def _merge(self, heads: Tensor) -> Tensor:
        return self.proj(heads.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with a GELU between them.

    Args:
        width: Token width.
        ratio: Hidden width over token width.
    """

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, int(width * ratio))
        self.fc2 = nn.Linear(int(width * ratio), width)

    def forward(self, tokens: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Return the update of every token."""
        return self.fc2(F.gelu(self.fc1(tokens)))


class Block(nn.Module):
    """Pre-norm layer of a modality branch or of the decoder.

    Upstream: every such layer carries two more pairs of norms that it never uses.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        """Return the tokens after the layer."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Norms(nn.ModuleDict):
    """One LayerNorm for each stream that passes through the joint layer."""

    def __init__(self, width: int) -> None:
        streams: tuple[Stream, ...] = ("shared", "audio", "image")
        super().__init__({stream: nn.LayerNorm(width) for stream in streams})


class Ranked(NamedTuple):
    """A global token with the priority of every patch."""

    cls: Float[Tensor, "B 1 D"]
    priority: Float[Tensor, "B P"]


class JointBlock(nn.Module):
    """A layer that both modalities share, with norms of its own for each stream.

    Source: TG-DP section 3.1, CAV-MAE section 2.3.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = Norms(width)
        self.attn = Attention(width, num_heads)
        self.norm2 = Norms(width)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(self, tokens: Float[Tensor, "B N D"], stream: Stream) -> Float[Tensor, "B N D"]:
        """Return the tokens after the layer."""
        tokens = tokens + self.attn(self.norm1[stream](tokens))
        return tokens + self.mlp(self.norm2[stream](tokens))

    def cls_only(self, tokens: Float[Tensor, "B N D"], stream: Stream) -> Float[Tensor, "B 1 D"]:
        """Return the first token after the layer; nothing is computed for the others' output."""
        update = self.attn.cls_update(self.norm1[stream](tokens))
        return self._finish(tokens, update, stream)

    def ranked(
        self, tokens: Float[Tensor, "B N D"], stream: Stream, direction: Direction
    ) -> Ranked:
        """Return the first token after the layer and the attention that ranks the patches.

        Source: TG-DP section 3.3 (`cls_to_patch`); released `get_patch2cls_rank` (`patch_to_cls`).
        """
        attend = self.attn.cls_to_patch if direction == "cls_to_patch" else self.attn.patch_to_cls
        update, priority = attend(self.norm1[stream](tokens))
        return Ranked(self._finish(tokens, update, stream), priority)

    def _finish(self, tokens: Tensor, update: Tensor, stream: Stream) -> Tensor:
        cls = tokens[:, :1] + update
        return cls + self.mlp(self.norm2[stream](cls))


def init_linear(module: nn.Module) -> None:
    """Initialise linear layers as the released code does (Xavier, as in the JAX ViT)."""
    if isinstance(module, nn.Linear):
        torch.nn.init.xavier_uniform_(module.weight)
        torch.nn.init.zeros_(module.bias)
