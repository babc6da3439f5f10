"""Transformer layers: the plain one of branches, heads and decoder, and the joint one."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Stream = Literal["shared", "audio", "image"]
Direction = Literal["patch_to_cls", "cls_to_patch"]
Residual = Literal["float32", "bfloat16"]


class Attention(nn.Module):
    """Multi-head self-attention that computes no more than is asked for.

    Args:
        width: Token width, a multiple of the number of heads.
        num_heads: Heads.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, tokens: Float[Tensor, "B N D"], num: int | None = None
    ) -> Float[Tensor, "B K D"]:
        """Return the update of the first `num` tokens; the others are keys and values only.

        Args:
            tokens: All tokens.
            num: How many are updated; all of them if None.
        """
        if num is None or num == tokens.shape[1]:
            query, key, value = (self._heads(part) for part in self.qkv(tokens).chunk(3, dim=-1))
        else:
            query = self._heads(self._project(tokens[:, :num], 0, 1))
            key, value = self._keys_and_values(tokens)
        return self._merge(F.scaled_dot_product_attention(query, key, value))

    def ranked(
        self, tokens: Float[Tensor, "B N D"], num: int, num_patches: int, direction: Direction
    ) -> tuple[Float[Tensor, "B K D"] | None, Float[Tensor, "B P"]]:
        """Return the update of the first `num` tokens, and the priority of the patches.

        Args:
            tokens: CLS first, then the patches, then any registers.
            num: How many are updated; with 0 nothing is computed for it.
            num_patches: How many patches follow the CLS.
            direction: `cls_to_patch`: how much the CLS attends to each patch, a row of the
                attention matrix; `patch_to_cls`: how much each patch attends to the CLS, a column
                of it. Either is the mean over the heads.
        """
        is_row = direction == "cls_to_patch"
        # Where only a column is asked for, what the CLS itself attends to is not.
        first = 0 if num or is_row else 1
        end = max(num, 1 if is_row else 1 + num_patches)
        query = self._heads(self._project(tokens[:, first:end], 0, 1))
        if num:
            key, value = self._keys_and_values(tokens)
            update = self._merge(F.scaled_dot_product_attention(query[:, :, :num], key, value))
        else:
            key, update = self._heads(self._project(tokens, 1, 2)), None
        if is_row:
            return update, _row(query[:, :, :1], key)[:, 1 : 1 + num_patches]
        return update, _column(query[:, :, 1 - first :][:, :, :num_patches], key)

    def _keys_and_values(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        key, value = self._project(tokens, 1, 3).chunk(2, dim=-1)
        return self._heads(key), self._heads(value)

    def _project(self, tokens: Tensor, first: int, end: int) -> Tensor:
        """Apply a stretch of the fused projection: 0 queries, 1 keys, 2 values."""
        rows = slice(first * tokens.shape[-1], end * tokens.shape[-1])
        return F.linear(tokens, self.qkv.weight[rows], self.qkv.bias[rows])

    def _heads(self, tokens: Tensor) -> Tensor:
        batch, num, width = tokens.shape  # (B, N, D) -> (B, heads, N, D / heads)
        return tokens.view(batch, num, self.num_heads, width // self.num_heads).transpose(1, 2)

    def _merge(self, heads: Tensor) -> Tensor:
        return self.proj(heads.transpose(1, 2).flatten(2))


def _row(query: Tensor, key: Tensor) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)  # (B, heads, 1, N)
    return scores.softmax(dim=-1)[:, :, 0].mean(dim=1)


def _column(query: Tensor, key: Tensor) -> Tensor:
    # Attention over values that are 1 for the CLS and 0 elsewhere is the column itself, and the
    # fused kernel never writes down the N x N matrix that it belongs to.
    is_cls = torch.zeros_like(key)
    is_cls[:, :, 0, 0] = 1.0
    return F.scaled_dot_product_attention(query, key, is_cls)[..., 0].mean(dim=1)


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
    """Pre-norm layer of a modality branch, of a contrastive head or of the decoder.

    Upstream (released lines 88 to 124): it carries two more pairs of norms that nothing reads.
    """

    def __init__(self, width: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio)

    def forward(
        self, tokens: Float[Tensor, "B N D"], num: int | None = None
    ) -> Float[Tensor, "B K D"]:
        """Return the first `num` tokens after the layer, all of them if None."""
        first, update = self.onward(tokens, None, num)
        return first + update

    def onward(
        self, tokens: Float[Tensor, "B N D"], update: Tensor | None, num: int | None = None
    ) -> tuple[Float[Tensor, "B K D"], Float[Tensor, "B K D"]]:
        """Return the first `num` tokens and what is to be added to them.

        The sum is left to the next layer, whose norm reads it: compiled, sum and norm go through
        memory once.

        Args:
            tokens: All tokens.
            update: What is to be added to them first.
            num: How many come out; all of them if None.
        """
        if update is not None:
            tokens = tokens + update
        first = tokens[:, :num] + self.attn(self.norm1(tokens), num)
        return first, self.mlp(self.norm2(first))


class Layers(nn.ModuleList):
    """Layers of a branch or of the decoder, one after the other.

    Args:
        num: How many.
        width: Token width.
        num_heads: Heads of each.
        mlp_ratio: Hidden width over token width.
        residual: Type of the tokens between them under autocast: `float32` or `bfloat16`.
    """

    def __init__(
        self,
        num: int,
        width: int,
        num_heads: int,
        mlp_ratio: float,
        residual: Residual,
    ) -> None:
        super().__init__(Block(width, num_heads, mlp_ratio) for _ in range(num))
        self.residual = torch.bfloat16 if residual == "bfloat16" else torch.float32

    def forward(
        self, tokens: Float[Tensor, "B N D"], num: int | None = None
    ) -> Float[Tensor, "B K D"]:
        """Return the first `num` tokens after the last layer, all of them if None."""
        if torch.is_autocast_enabled(tokens.device.type):
            tokens = tokens.to(self.residual)
        update: Tensor | None = None
        last = len(self) - 1
        for index, block in enumerate(self):
            assert isinstance(block, Block)
            tokens, update = block.onward(tokens, update, num if index == last else None)
        return tokens[:, :num] if update is None else tokens + update


class Norms(nn.ModuleDict):
    """One LayerNorm for each stream that passes through the joint layer."""

    def __init__(self, width: int) -> None:
        streams: tuple[Stream, ...] = ("shared", "audio", "image")
        super().__init__({stream: nn.LayerNorm(width) for stream in streams})


class Ranked(NamedTuple):
    """Tokens after a layer, and how much attention runs between the CLS and each patch."""

    tokens: Float[Tensor, "B K D"] | None
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

    def forward(
        self, tokens: Float[Tensor, "B N D"], stream: Stream, num: int | None = None
    ) -> Float[Tensor, "B K D"]:
        """Return the first `num` tokens after the layer, all of them if None."""
        first = tokens[:, :num] + self.attn(self.norm1[stream](tokens), num)
        return first + self.mlp(self.norm2[stream](first))

    def ranked(
        self,
        tokens: Float[Tensor, "B N D"],
        stream: Stream,
        num: int,
        num_patches: int,
        direction: Direction,
    ) -> Ranked:
        """Return the first `num` tokens after the layer and the attention that ranks the patches.

        Source: TG-DP section 3.3 (`cls_to_patch`); released line 393 (`patch_to_cls`).
        """
        update, priority = self.attn.ranked(self.norm1[stream](tokens), num, num_patches, direction)
        if update is None:
            return Ranked(None, priority)
        first = tokens[:, :num] + update
        return Ranked(first + self.mlp(self.norm2[stream](first)), priority)


def init_linear(module: nn.Module) -> None:
    """Initialise linear layers as the released code does (Xavier, as in the JAX ViT)."""
    if isinstance(module, nn.Linear):
        torch.nn.init.xavier_uniform_(module.weight)
        torch.nn.init.zeros_(module.bias)
