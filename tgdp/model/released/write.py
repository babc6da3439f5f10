"""Our weights in the released naming, so that the released model and its script read them."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.model.released.layout import layout, positions
from tgdp.model.released.names import (
    PREFIX,
    REGISTERS,
    is_fixed,
    is_never_used,
    is_register,
    merge_registers,
    released_name,
)
from tgdp.model.released.sizes import Sizes, sizes_of_config

NUM_LAYERS = 12
"""The released class builds 12 minus the modality layers as joint ones."""

PATCH = 16
"""Side that the released class has written out in its audio grid, and shares with the picture."""

HEAD_LAYERS = (0, 2)
"""Contrastive heads of the released class: none or two layers."""

SCRIPT_SECONDS = {192: 2, 304: 3, 416: 4, 512: 5, 624: 6, 720: 7, 1024: 10}
"""Audio steps -> the seconds in a model type of the released retrieval script."""

SCRIPT_TYPES = {
    (True, 8): "sync_pretrain_registers_cls",
    (False, 8): "sync_pretrain_registers",
    (False, 0): "sync_pretrain",
}
"""CLS and registers -> model type of the released retrieval script, which knows no others."""


def to_released(student: Mapping[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Return our weights under the released names, for a strict load by the released class.

    Norms that no pass reaches are added at a norm's initial values, and so are the fixed positions.

    Args:
        student: State dict of our `Student`.
        config: What it was built from.

    Raises:
        UserError: The released model cannot hold it.
    """
    if reasons := list(refusals(config)):
        raise UserError(f"the released model cannot hold this one: {'; '.join(reasons)}")
    sizes = sizes_of_config(config)
    weights = _renamed(student)
    return {
        PREFIX + name: _value(name, shape, weights, sizes) for name, shape in layout(sizes).items()
    }


def refusals(config: Config) -> Iterator[str]:
    """Yield why the released model cannot hold a configuration, one reason each."""
    model = config.model
    if config.contrastive.learned_temperature:
        yield "contrastive.learned_temperature: its temperature is not a parameter"
    for key, patch in (("audio_patch", model.audio_patch), ("image_patch", model.image_patch)):
        if patch != PATCH:
            yield f"model.{key} is {patch}: it has {PATCH} for both"
    if model.joint_layers != 1:
        yield (
            f"model.joint_layers is {model.joint_layers}: ours chain, and of its only the last "
            "counts for the global vectors"
        )
    if model.modality_layers + model.joint_layers != NUM_LAYERS:
        yield (
            f"model.modality_layers + model.joint_layers is "
            f"{model.modality_layers + model.joint_layers}: it has {NUM_LAYERS} in all"
        )
    if model.contrastive_head_layers not in HEAD_LAYERS:
        yield f"model.contrastive_head_layers is {model.contrastive_head_layers}: it has 0 or 2"


def class_call(config: Config) -> str:
    """Return the call of the released class that builds a model for these weights."""
    model, decoder = config.model, config.model.decoder
    arguments = {
        "img_size": config.data.image_size,
        "audio_length": config.data.audio_steps,
        "embed_dim": model.width,
        "modality_specific_depth": model.modality_layers,
        "num_heads": model.num_heads,
        "decoder_embed_dim": decoder.width,
        "decoder_depth": decoder.num_layers,
        "decoder_num_heads": decoder.num_heads,
        "mlp_ratio": model.mlp_ratio,
        "num_register_tokens": model.num_registers,
        "cls_token": model.pooling == "cls",
        "contrastive_heads": bool(model.contrastive_head_layers),
        "keep_register_tokens": model.keep_registers,
    }
    return f"CAVMAE_DP({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def script_type(config: Config) -> str | None:
    """Return the `--model_types` word of the released retrieval script; None if it has none.

    Source: released `retrieval.py`: it builds ViT-B with 8 registers or none, and reads the length
    of a segment from the end of the word.
    """
    model, decoder, steps = config.model, config.model.decoder, config.data.audio_steps
    sizes = (model.width, model.num_heads, model.mlp_ratio, config.data.image_size)
    decoder_sizes = (decoder.width, decoder.num_layers, decoder.num_heads)
    if sizes != (768, 12, 4.0, 224) or decoder_sizes != (512, 8, 16) or model.keep_registers:
        return None
    word = SCRIPT_TYPES.get((model.pooling == "cls", model.num_registers))
    if word is None or steps not in SCRIPT_SECONDS:
        return None
    heads = "_ch" if model.contrastive_head_layers else ""
    return f"{word}{heads}_{SCRIPT_SECONDS[steps]}s"


def notes(config: Config) -> Iterator[str]:
    """Yield what the weights alone do not say to the released code."""
    if config.model.keep_registers:
        yield (
            "keep_register_tokens is a flag, not a weight: build the class with it. Where patches "
            "are hidden it cuts the registers out at the wrong place, ours does not; without CLS "
            "its mean also counts the registers"
        )
    if config.data.timing == "clip" and config.data.audio == "segment":
        yield (
            "trained with data.timing 'clip'; the released loader cuts its segments on a 10.24 s "
            "grid instead, so its numbers differ a little from ours"
        )
    if config.data.audio == "clip":
        yield (
            "trained on whole clips (data.audio 'clip'); the CAVMAE class of the CAV-MAE "
            "repository reads the file too"
        )


def _renamed(student: Mapping[str, Tensor]) -> dict[str, Tensor]:
    weights = {
        released_name(name): value
        for name, value in student.items()
        if value.numel() and not is_register(name)
    }
    registers = merge_registers(student)
    return weights | ({REGISTERS: registers} if len(registers) else {})


def _value(
    name: str, shape: tuple[int, ...], weights: Mapping[str, Tensor], sizes: Sizes
) -> Tensor:
    if is_fixed(name):
        return positions(name, sizes)
    if is_never_used(name):
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    return weights[name].detach().cpu()
