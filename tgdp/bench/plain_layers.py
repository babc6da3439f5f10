"""The encoder as the released TG-DP model runs it: a full forward, whoever reads what of it.

It works on our modules' parameters and calls none of their own forwards, so that nothing that is
done to make those faster is done here. "Released lines" are those of `src/models/cavmae_dp.py`,
commit 978274c. Left out are two pairs of norms that each of its layers carries and nothing reads
(lines 93, 94, 100, 101), which would only slow it.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tgdp.config import num_kept
from tgdp.model.blocks import Attention, Block, JointBlock
from tgdp.model.encoder import Branch, Encoder, Modality, Pair
from tgdp.model.tokens import as_picture


class Masked(NamedTuple):
    """One modality after its mask.

    Attributes:
        tokens: The visible ones.
        hidden: 1 for each hidden patch, else 0.
        ids_restore: Where each patch stands in "visible ones first" order.
    """

    tokens: Float[Tensor, "B K D"]
    hidden: Float[Tensor, "B N"]
    ids_restore: Int[Tensor, "B N"]


class MaskedPair(NamedTuple):
    """Both modalities after their masks."""

    audio: Masked
    image: Masked


Mask = Callable[[Tensor, Modality], Masked]
"""All tokens of a modality, (B, N, D) -> the visible ones."""


class Streams(NamedTuple):
    """What one full forward computes.

    Attributes:
        joint: Patches of both modalities together, (B, K, D).
        patches: Patches of each modality alone, (B, K, D) each; read by nobody.
        vectors: CLS of each modality, (B, D) each.
        masked: What each modality saw.
    """

    joint: Tensor
    patches: Pair
    vectors: Pair
    masked: MaskedPair


class View(NamedTuple):
    """What the teacher says of a full view.

    Attributes:
        vectors: Global vectors, (B, D) each.
        attention: Between the CLS and each patch, mean over heads, natural order, (B, N) each.
    """

    vectors: Pair
    attention: Pair


def mask_by_order(tokens: Tensor, ids_shuffle: Tensor, ratio: float) -> Masked:
    """Return the tokens whose places come first in an order.

    Args:
        tokens: All of them, (B, N, D).
        ids_shuffle: Places, first the ones that stay, (B, N).
        ratio: Share of the tokens hidden.

    Source: released lines 309 to 322; `ranked_masking`, called in lines 438 and 439 and defined
    nowhere, can hardly do anything else with the ranks as the order.
    """
    batch, num, width = tokens.shape
    kept = num_kept(num, ratio)
    ids_restore = torch.argsort(ids_shuffle, dim=1)
    # Released line 314: the index is written out for every value of the width.
    index = ids_shuffle[:, :kept].unsqueeze(-1).repeat(1, 1, width)
    hidden = torch.ones([batch, num], device=tokens.device)
    hidden[:, :kept] = 0
    return Masked(
        torch.gather(tokens, dim=1, index=index),
        torch.gather(hidden, dim=1, index=ids_restore),
        ids_restore,
    )


def full_forward(encoder: Encoder, audio: Tensor, image: Tensor, mask: Mask) -> Streams:
    """Return all streams of one pass.

    Args:
        encoder: Whose parameters are used.
        audio: Segments, (B, T, F).
        image: Pictures, (B, 3, H, W).
        mask: What is hidden.

    Source: released lines 416 to 523 (`forward_encoder`).
    """
    branches, joint, masked = _branches(encoder, audio, image, mask)
    layer = _joint_layer(encoder)
    # Released lines 491 to 494: every token of both modalities through the joint layer, ...
    sound, _ = _block(layer, branches.audio, "audio")
    sight, _ = _block(layer, branches.image, "image")
    # ... and lines 512 to 516: the norms of the CLS and of all patches, also where none is read.
    vectors = Pair(
        encoder.norms["audio"](sound[:, 0, :].squeeze()),
        encoder.norms["image"](sight[:, 0, :].squeeze()),
    )
    patches = Pair(
        encoder.norms["audio"](sound[:, 1:, :]),
        encoder.norms["image"](sight[:, 1:, :]),
    )
    return Streams(joint, patches, vectors, masked)


def teacher_forward(
    teacher: Encoder, audio: Tensor, image: Tensor, mask: Mask, *, is_column: bool
) -> View:
    """Return what the teacher says, from attention whose probabilities are all written down.

    Args:
        teacher: The slow copy. Nothing here keeps gradients from being tracked (released lines 672
            to 679); whether they are is up to its parameters.
        audio: Segments.
        image: Pictures.
        mask: An order of all tokens.
        is_column: What each patch gives the CLS, as released; otherwise what the CLS gives each.

    Source: released lines 482 to 489 and 672 to 679.
    """
    # Released lines 474 to 479: the joint stream of both is computed here too, and dropped.
    branches, _, masked = _branches(teacher, audio, image, mask)
    layer = _joint_layer(teacher)
    vectors: list[Tensor] = []
    attention: list[Tensor] = []
    modalities: tuple[Modality, Modality] = ("audio", "image")
    for modality, tokens, one in zip(modalities, branches, masked, strict=True):
        # Released lines 484 and 486: softmax(QK) as a tensor of (B, heads, 1 + N, 1 + N).
        out, shares = _block(layer, tokens, modality, with_shares=True)
        assert shares is not None
        vectors.append(teacher.norms[modality](out[:, 0, :].squeeze()))
        # Released lines 393 and 396: cut out first, then the mean over heads.
        cut = shares[:, :, 1:, 0] if is_column else shares[:, :, 0, 1:]
        # Upstream: the ranks stay in shuffled order; put back, so that both guide by the same.
        attention.append(cut.mean(dim=1).gather(1, one.ids_restore))
    return View(Pair(*vectors), Pair(*attention))


def block(layer: Block, tokens: Tensor) -> Tensor:
    """Return all tokens after a layer of a branch or of the decoder (released lines 105 to 124)."""
    update, _ = _attend(layer.attn, layer.norm1(tokens))
    tokens = tokens + update
    return tokens + _mlp(layer.mlp.fc1, layer.mlp.fc2, layer.norm2(tokens))


def blocks(layers: nn.ModuleList, tokens: Tensor) -> Tensor:
    """Return all tokens after a stack of such layers."""
    for layer in layers:
        assert isinstance(layer, Block)
        tokens = block(layer, tokens)
    return tokens


def _branches(
    encoder: Encoder, audio: Tensor, image: Tensor, mask: Mask
) -> tuple[Pair, Tensor, MaskedPair]:
    """Return both branches' tokens, CLS first; their patches after the joint layer; the masks."""
    # Released lines 418 to 426: patches are embedded anew in every pass.
    masked = MaskedPair(
        mask(_embed(encoder.audio, as_picture(audio)), "audio"),
        mask(_embed(encoder.image, image), "image"),
    )
    branches = Pair(
        _branch(encoder.audio, masked.audio.tokens), _branch(encoder.image, masked.image.tokens)
    )
    joint = torch.cat((branches.audio[:, 1:], branches.image[:, 1:]), dim=1)
    joint, _ = _block(_joint_layer(encoder), joint, "shared")
    return branches, encoder.norms["shared"](joint), masked


def _embed(branch: Branch, picture: Tensor) -> Tensor:
    part = branch.patch_embed
    tokens = part.proj(picture).flatten(2).transpose(1, 2)
    tokens = tokens + part.positions
    return tokens + part.modality


def _branch(branch: Branch, tokens: Tensor) -> Tensor:
    batch, registers = tokens.shape[0], branch.register_tokens.shape[1]
    tokens = torch.cat([branch.cls_token.expand(batch, -1, -1), tokens], dim=1)
    if registers:
        tokens = torch.cat([tokens, branch.register_tokens.expand(batch, -1, -1)], dim=1)
    tokens = blocks(branch.blocks, tokens)
    # Released lines 468 to 471: the last layer computes the registers, then they are cut off.
    return tokens[:, :-registers, :] if registers else tokens


def _joint_layer(encoder: Encoder) -> JointBlock:
    (layer,) = encoder.joint
    assert isinstance(layer, JointBlock)
    return layer


def _block(
    layer: JointBlock, tokens: Tensor, stream: str, *, with_shares: bool = False
) -> tuple[Tensor, Tensor | None]:
    update, shares = _attend(layer.attn, layer.norm1[stream](tokens), with_shares=with_shares)
    tokens = tokens + update
    return tokens + _mlp(layer.mlp.fc1, layer.mlp.fc2, layer.norm2[stream](tokens)), shares


def _attend(
    layer: Attention, tokens: Tensor, *, with_shares: bool = False
) -> tuple[Tensor, Tensor | None]:
    batch, num, width = tokens.shape
    heads = layer.num_heads
    qkv = layer.qkv(tokens).reshape(batch, num, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)
    if with_shares:  # Released lines 66 to 71
        shares = ((query * (width // heads) ** -0.5) @ key.transpose(-2, -1)).softmax(dim=-1)
        update = shares @ value
    else:  # Released lines 72 to 78: the fused kernel everywhere else, in the decoder too
        shares, update = None, F.scaled_dot_product_attention(query, key, value)
    return layer.proj(update.transpose(1, 2).reshape(batch, num, width)), shares


def _mlp(fc1: nn.Module, fc2: nn.Module, tokens: Tensor) -> Tensor:
    return fc2(F.gelu(fc1(tokens)))
