"""Names of the released checkpoints <-> ours."""

import re
from collections.abc import Mapping

from torch import Tensor

from tgdp.errors import UserError

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
    "norm_a.": "encoder.norms.audio.",
    "norm_v.": "encoder.norms.image.",
    "norm.": "encoder.norms.shared.",
    "decoder_embed.": "decoder.embed.",
    "decoder_blocks.": "decoder.blocks.",
    "decoder_norm.": "decoder.norm.",
    "decoder_pred_a.": "decoder.predict_audio.",
    "decoder_pred_v.": "decoder.predict_image.",
}

NEVER_USED = re.compile(
    r"^((blocks_[av]|decoder_blocks)\.\d+\.norm[12]_[av]|(decoder_)?pos_embed_[av])"
)
"""Norms that no forward pass of the released code reaches, and fixed positions we compute."""


def from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a released TG-DP state dict under our names, for a strict `load_state_dict`.

    Args:
        state: Released names, with or without the `module.` prefix.

    Raises:
        UserError: A name is not one of the released model's.
    """
    ours: dict[str, Tensor] = {}
    for released, value in state.items():
        name = released.removeprefix("module.")
        if name == "register_tokens":
            # The released code keeps both modalities' registers in one table, audio first.
            audio, image = value.chunk(2)
            ours["encoder.audio.register_tokens"] = audio[None]
            ours["encoder.image.register_tokens"] = image[None]
        elif not NEVER_USED.match(name):
            ours[our_name(name)] = value
    return ours


def our_name(released: str) -> str:
    """Return our name of a released parameter.

    Raises:
        UserError: The released model has no parameter of that name.
    """
    if released in WHOLE:
        return WHOLE[released]
    for prefix, ours in PREFIXES.items():
        if released.startswith(prefix):
            rest = released.removeprefix(prefix)
            return ours + (_norm_of_stream(rest) if prefix == "blocks_u." else rest)
    raise UserError(f"'{released}' is not a parameter of the released TG-DP model")


def _norm_of_stream(rest: str) -> str:
    return re.sub(
        r"(norm[12])(_a|_v|)\.", lambda found: f"{found[1]}.{STREAMS[found[2]]}.", rest, count=1
    )
