"""State dicts with the names and shapes of the published files, by rule from their model files.

Everything but the fixed positions is one zero that is expanded, so that full size costs nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tgdp.model.tokens import Grid, sincos_positions

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Ancestor:
    """Sizes of a released model; the defaults are TG-DP as published."""

    width: int = 768
    layers: int = 11
    audio_patches: int = 208
    cls: bool = True
    registers: int = 8
    heads: bool = False
    decoder: tuple[int, int] | None = (512, 8)
    classes: int = 0
    image_patches: int = 196


TG_DP = Ancestor()
CAV_MAE = Ancestor(audio_patches=512, cls=False, registers=0)
CAV_MAE_FINE_TUNED = Ancestor(audio_patches=512, cls=False, registers=0, decoder=None, classes=527)
SMALL = Ancestor(width=64, decoder=(32, 2))
"""Real depth and real names, a narrow width."""


def shapes(size: Ancestor) -> Shapes:
    """Return the names of a released model's state dict, without prefix."""
    width = size.width
    found: Shapes = {
        "modality_a": (1, 1, width),
        "modality_v": (1, 1, width),
        "pos_embed_a": (1, size.audio_patches, width),
        "pos_embed_v": (1, size.image_patches, width),
        "patch_embed_a.proj.weight": (width, 1, 16, 16),
        "patch_embed_a.proj.bias": (width,),
        "patch_embed_v.proj.weight": (width, 3, 16, 16),
        "patch_embed_v.proj.bias": (width,),
    }
    if size.registers:
        found["register_tokens"] = (2 * size.registers, width)
    if size.cls:
        found |= {"cls_token_a": (1, 1, width), "cls_token_v": (1, 1, width)}
    stacks = [("blocks_a", size.layers), ("blocks_v", size.layers), ("blocks_u", 12 - size.layers)]
    if size.heads:
        stacks += [("constrative_head_audio", 2), ("constrative_head_visual", 2)]
    for stack, layers in stacks:
        for number in range(layers):
            found |= layer(f"{stack}.{number}", width, ("", "_a", "_v"))
    for norm in ("norm_a", "norm_v", "norm"):
        found |= pair(norm, width)
    if size.classes:
        found |= pair("mlp_head.0", width)
        found |= pair("mlp_head.1", size.classes, width)
    return found | (_decoder(size, *size.decoder) if size.decoder else {})


def mae_shapes(
    width: int = 768, layers: int = 12, decoder: tuple[int, int] | None = None
) -> Shapes:
    """Return the names of an ImageNet MAE ViT: those of timm, and of the MAE repository's files."""
    found: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 197, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
    }
    for number in range(layers):
        found |= layer(f"blocks.{number}", width, ("",))
    found |= pair("norm", width)
    if decoder is None:
        return found
    narrow, num_layers = decoder
    found |= pair("decoder_embed", narrow, width)
    found |= {"mask_token": (1, 1, narrow), "decoder_pos_embed": (1, 197, narrow)}
    for number in range(num_layers):
        found |= layer(f"decoder_blocks.{number}", narrow, ("",))
    return found | pair("decoder_norm", narrow) | pair("decoder_pred", 768, narrow)


def layer(name: str, width: int, streams: tuple[str, ...]) -> Shapes:
    found: Shapes = {}
    for stream in streams:
        found |= pair(f"{name}.norm1{stream}", width) | pair(f"{name}.norm2{stream}", width)
    found |= pair(f"{name}.attn.qkv", 3 * width, width) | pair(f"{name}.attn.proj", width, width)
    return (
        found
        | pair(f"{name}.mlp.fc1", 4 * width, width)
        | pair(f"{name}.mlp.fc2", width, 4 * width)
    )


def pair(name: str, outputs: int, *inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def zeros(names: Mapping[str, tuple[int, ...]], prefix: str = "") -> dict[str, Tensor]:
    """Return a state dict of zeros that take no memory, with the true fixed positions."""
    return {
        prefix + name: _positions(name, shape) if "pos_embed" in name else _zero(shape)
        for name, shape in names.items()
    }


def random(names: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, Tensor]:
    """Return a state dict of different numbers everywhere, with the true fixed positions."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: _positions(name, shape)
        if "pos_embed" in name
        else torch.randn(shape, generator=generator)
        for name, shape in names.items()
    }


def count(names: Mapping[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in names.values())


def _zero(shape: tuple[int, ...]) -> Tensor:
    return torch.zeros(()).expand(shape)


def _positions(name: str, shape: tuple[int, ...]) -> Tensor:
    _, num, width = shape
    if name.endswith("_a"):
        return sincos_positions(width, Grid(8, num // 8))[None]
    side = math.isqrt(num)
    table = sincos_positions(width, Grid(side, side))[None]
    # An MAE has a place for its CLS in front, all zero.
    return table if side**2 == num else torch.cat([torch.zeros(1, 1, width), table], dim=1)


def _decoder(size: Ancestor, width: int, layers: int) -> Shapes:
    found: Shapes = {
        "mask_token": (1, 1, width),
        "decoder_modality_a": (1, 1, width),
        "decoder_modality_v": (1, 1, width),
        "decoder_pos_embed_a": (1, size.audio_patches, width),
        "decoder_pos_embed_v": (1, size.image_patches, width),
    }
    found |= pair("decoder_embed", width, size.width)
    for number in range(layers):
        found |= layer(f"decoder_blocks.{number}", width, ("", "_a", "_v"))
    found |= pair("decoder_norm", width)
    return found | pair("decoder_pred_a", 256, width) | pair("decoder_pred_v", 768, width)
