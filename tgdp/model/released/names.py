"""Names of the released TG-DP, CAV-MAE Sync and CAV-MAE parameters <-> ours, both directions."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from tgdp.errors import UserError

PREFIX = "module."
"""What `DataParallel` puts before every name; the released files carry it."""

STREAMS = {"": "shared", "_a": "audio", "_v": "image"}
"""Suffix of a norm in the released code -> our stream."""

WHOLE = {
    "modality_a": "encoder.audio.patch_embed.modality",
    "modality_v": "encoder.image.patch_embed.modality",
    "cls_token_a": "encoder.audio.cls_token",
    "cls_token_v": "encoder.image.cls_token",
    "mask_token": "decoder.mask_token",
    "decoder_modality_a": "decoder.modality_audio",
    "decoder_modality_v": "decoder.modality_image",
}

PREFIXES = {
    "patch_embed_a.": "encoder.audio.patch_embed.",
    "patch_embed_v.": "encoder.image.patch_embed.",
    "blocks_a.": "encoder.audio.blocks.",
    "blocks_v.": "encoder.image.blocks.",
    "blocks_u.": "encoder.joint.",
    # Spelled so in the released code.
    "constrative_head_audio.": "encoder.heads.audio.",
    "constrative_head_visual.": "encoder.heads.image.",
    "norm_a.": "encoder.norms.audio.",
    "norm_v.": "encoder.norms.image.",
    "norm.": "encoder.norms.shared.",
    "decoder_embed.": "decoder.embed.",
    "decoder_blocks.": "decoder.blocks.",
    "decoder_norm.": "decoder.norm.",
    "decoder_pred_a.": "decoder.predict_audio.",
    "decoder_pred_v.": "decoder.predict_image.",
}

REGISTERS = "register_tokens"
"""The released code keeps the registers of both modalities in one table, audio first."""

_MODALITIES = ("audio", "image")
_NEVER_USED = re.compile(
    r"^(blocks_[av]|decoder_blocks|constrative_head_(audio|visual))\.\d+\.norm[12]_[av]\."
)
_FIXED = re.compile(r"^(decoder_)?pos_embed_[av]$")
_DECODER = re.compile(r"^(decoder_|mask_token$)")


def is_never_used(released: str) -> bool:
    """Say whether no forward pass of the released code reaches this norm.

    Source: released `Block`: each carries three pairs of norms, and only the joint layers are
    called with a modality.
    """
    return _NEVER_USED.match(released) is not None


def is_fixed(released: str) -> bool:
    """Say whether these are sine-cosine positions, which we compute and do not store."""
    return _FIXED.match(released) is not None


def is_of_decoder(released: str) -> bool:
    """Say whether only the reconstruction path needs this."""
    return _DECODER.match(released) is not None


def our_name(released: str) -> str:
    """Return our name of a released parameter, the register table excepted.

    Raises:
        UserError: The released models have no parameter of that name.
    """
    if released in WHOLE:
        return WHOLE[released]
    for prefix, ours in PREFIXES.items():
        if released.startswith(prefix):
            rest = released.removeprefix(prefix)
            return ours + (_our_norm(rest) if prefix == "blocks_u." else rest)
    raise UserError(f"'{released}' is not a parameter of the released TG-DP model")


def released_name(ours: str) -> str:
    """Return the released name of one of our parameters, the registers excepted.

    Raises:
        UserError: The released models have no such parameter.
    """
    for released, whole in WHOLE.items():
        if ours == whole:
            return released
    for released, prefix in PREFIXES.items():
        if ours.startswith(prefix):
            rest = ours.removeprefix(prefix)
            return released + (_released_norm(rest) if released == "blocks_u." else rest)
    raise UserError(f"'{ours}' has no counterpart in the released TG-DP model")


def from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a released state dict under our names, for a strict `load_state_dict`.

    Norms that no pass reaches and the fixed positions are left out. A model without CLS or
    registers gets the empty tables that ours has in their place.

    Args:
        state: Released names, with or without the `module.` prefix.

    Raises:
        UserError: A name is not one of the released models'.
    """
    ours: dict[str, Tensor] = {}
    for prefixed, value in state.items():
        name = prefixed.removeprefix(PREFIX)
        if name == REGISTERS:
            audio, image = value.chunk(2)
            ours |= {_registers("audio"): audio[None], _registers("image"): image[None]}
        elif not is_never_used(name) and not is_fixed(name):
            ours[our_name(name)] = value
    return _with_empty_tables(ours)


def merge_registers(ours: Mapping[str, Tensor]) -> Tensor:
    """Return the released register table, audio first, of our state dict."""
    return torch.cat([ours[_registers(modality)][0] for modality in _MODALITIES])


def is_register(ours: str) -> bool:
    """Say whether one of our parameters is a part of the released register table."""
    return ours in {_registers(modality) for modality in _MODALITIES}


def _registers(modality: str) -> str:
    return f"encoder.{modality}.{REGISTERS}"


def _with_empty_tables(ours: dict[str, Tensor]) -> dict[str, Tensor]:
    for modality in _MODALITIES:
        mark = ours.get(f"encoder.{modality}.patch_embed.modality")
        if mark is not None:
            ours.setdefault(f"encoder.{modality}.cls_token", mark[:, :0])
            ours.setdefault(_registers(modality), mark[:, :0])
    return ours


def _our_norm(rest: str) -> str:
    return re.sub(
        r"(norm[12])(_a|_v|)\.", lambda found: f"{found[1]}.{STREAMS[found[2]]}.", rest, count=1
    )


def _released_norm(rest: str) -> str:
    suffixes = {stream: suffix for suffix, stream in STREAMS.items()}
    return re.sub(
        r"(norm[12])\.(shared|audio|image)\.",
        lambda found: f"{found[1]}{suffixes[found[2]]}.",
        rest,
        count=1,
    )
