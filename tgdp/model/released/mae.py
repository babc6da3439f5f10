"""An ImageNet MAE ViT under our names: one stack of layers becomes two branches and a joint one.

Source: CAV-MAE section 3.1 and its `adapt_vmae_weights.py`; the names are those of the MAE files
of facebookresearch/mae, which timm keeps.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from tgdp.config import ModelConfig
from tgdp.errors import UserError
from tgdp.model.released.compare import FIXED_POSITIONS, learned
from tgdp.model.released.sizes import depth
from tgdp.model.tokens import Grid, sincos_positions

MARK = "patch_embed.proj.weight"
"""A state dict with this name is one of an MAE, or of another ViT."""

HIDDEN = "blocks.0.mlp.fc1.weight"

BOTH = ("audio", "image")
STREAMS = ("shared", "audio", "image")

_LAYER = re.compile(r"^blocks\.(\d+)\.(.+)$")
_NORM = re.compile(r"^(norm[12])\.(.+)$")

_DECODER_PREFIXES = {
    "decoder_embed.": "decoder.embed.",
    "decoder_blocks.": "decoder.blocks.",
    "decoder_norm.": "decoder.norm.",
}


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        weights: Under our names.
        left_out: Names of the file that are not used, each with its reason.
    """

    weights: Mapping[str, Tensor]
    left_out: Mapping[str, str]


def from_mae(state: Mapping[str, Tensor], model: ModelConfig, where: str) -> Start:
    """Return an MAE's weights under our names.

    The first layers go to both branches, the others to the joint layers, whose norms and the last
    norm are copied to every stream. The audio kernel is the sum over the colours; the audio head is
    the first rows of the head. The CLS goes to both modalities.

    Args:
        state: MAE names, with or without its decoder.
        model: Sizes of our model.
        where: File, for messages.

    Raises:
        UserError: The sizes differ, positions are learned, or a name is not one of an MAE's.
    """
    if HIDDEN not in state:
        raise UserError(f"{where}: not the state dict of an MAE ViT: it has no '{HIDDEN}'")
    check_sizes(_sizes(state, model, where), where)
    weights: dict[str, Tensor] = {}
    left_out: dict[str, str] = {}
    for name, value in state.items():
        if name in {"pos_embed", "decoder_pos_embed"}:
            if problem := learned(value, _positions(value)):
                raise UserError(f"{where}: {name}: {problem}")
            left_out[name] = FIXED_POSITIONS
        elif name == "cls_token" and model.pooling == "mean":
            left_out[name] = "model.pooling is 'mean': there is no CLS"
        else:
            weights |= _ours(name, value, model, where)
    return Start(weights, left_out)


def check_sizes(sizes: Mapping[str, tuple[int, int]], where: str) -> None:
    """Refuse a file whose sizes are not the model's.

    Args:
        sizes: Key of the configuration -> what the file has and what the model has.
        where: File, for messages.

    Raises:
        UserError: Any differs; all that do are named.
    """
    if differing := {key: pair for key, pair in sizes.items() if pair[0] != pair[1]}:
        listed = "; ".join(
            f"{key} is {own}, the file's is {theirs}" for key, (theirs, own) in differing.items()
        )
        raise UserError(f"{where}: does not fit the model: {listed}")


def _sizes(
    state: Mapping[str, Tensor], model: ModelConfig, where: str
) -> dict[str, tuple[int, int]]:
    kernel, hidden = state[MARK].shape, state[HIDDEN].shape[0]
    sizes = {
        "model.width": (kernel[0], model.width),
        "model.modality_layers + model.joint_layers": (
            depth(state, "blocks", where),
            model.modality_layers + model.joint_layers,
        ),
        "model.width * model.mlp_ratio": (hidden, int(model.width * model.mlp_ratio)),
        "model.image_patch": (kernel[-1], model.image_patch),
        "model.audio_patch": (kernel[-1], model.audio_patch),
    }
    if "decoder_embed.weight" in state:
        decoder, width = model.decoder, state["decoder_embed.weight"].shape[0]
        layers = depth(state, "decoder_blocks", where)
        sizes["model.decoder.width"] = (width, decoder.width)
        sizes["model.decoder.num_layers"] = (layers, decoder.num_layers)
    return sizes


def _positions(table: Tensor) -> Tensor:
    """Return the fixed positions of a CLS, all zero, and a square of patches, (1, 1 + N, D)."""
    side = math.isqrt(table.shape[1] - 1)
    patches = sincos_positions(table.shape[2], Grid(side, side))
    return F.pad(patches, (0, 0, 1, 0))[None]


def _ours(name: str, value: Tensor, model: ModelConfig, where: str) -> dict[str, Tensor]:
    if found := _LAYER.match(name):
        return _layer(int(found[1]), found[2], value, model.modality_layers)
    if name in {"norm.weight", "norm.bias"}:
        return {f"encoder.norms.{stream}.{name[5:]}": value for stream in STREAMS}
    if name == MARK:
        kernels = {"audio": value.sum(dim=1, keepdim=True), "image": value}
        return {f"encoder.{which}.{MARK}": kernels[which] for which in BOTH}
    if name in {"patch_embed.proj.bias", "cls_token"}:
        return {f"encoder.{which}.{name}": value for which in BOTH}
    return _decoder(name, value, model.audio_patch, where)


def _layer(number: int, rest: str, value: Tensor, modality_layers: int) -> dict[str, Tensor]:
    if number < modality_layers:
        return {f"encoder.{which}.blocks.{number}.{rest}": value for which in BOTH}
    joint = f"encoder.joint.{number - modality_layers}"
    if found := _NORM.match(rest):
        return {f"{joint}.{found[1]}.{stream}.{found[2]}": value for stream in STREAMS}
    return {f"{joint}.{rest}": value}


def _decoder(name: str, value: Tensor, audio_patch: int, where: str) -> dict[str, Tensor]:
    if name == "mask_token":
        return {"decoder.mask_token": value}
    if name in {"decoder_pred.weight", "decoder_pred.bias"}:
        kind = name.removeprefix("decoder_pred.")
        return {
            f"decoder.predict_audio.{kind}": value[: audio_patch**2],
            f"decoder.predict_image.{kind}": value,
        }
    for prefix, ours in _DECODER_PREFIXES.items():
        if name.startswith(prefix):
            return {ours + name.removeprefix(prefix): value}
    raise UserError(f"{where}: '{name}' is not a weight of an MAE ViT")
