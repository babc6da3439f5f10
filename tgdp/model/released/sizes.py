"""Which sizes a released state dict has, read from its names and shapes."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from tgdp.config import MEL_BINS, Config
from tgdp.errors import UserError
from tgdp.model.tokens import Grid

NEEDED = (
    "patch_embed_a.proj.weight",
    "patch_embed_v.proj.weight",
    "pos_embed_a",
    "pos_embed_v",
    "blocks_u.0.mlp.fc1.weight",
)
"""Without these a state dict is not one of the released models'."""


@dataclass(frozen=True)
class Sizes:
    """Everything that names and shapes tell; the number of heads is not among it.

    Attributes:
        width: Token width.
        modality_layers: Layers of each branch.
        joint_layers: Shared layers.
        hidden: Width inside the MLP of a layer.
        patch: Side of a patch, (audio, image).
        audio: Grid of the spectrogram.
        image: Grid of the picture.
        has_cls: Whether there is a CLS token a modality.
        num_registers: Register tokens a modality.
        head_layers: Layers of each contrastive head.
        decoder_width: None where there is no decoder.
        decoder_layers: Layers of the decoder.
        decoder_hidden: Width inside the MLP of its layers.
    """

    width: int
    modality_layers: int
    joint_layers: int
    hidden: int
    patch: tuple[int, int]
    audio: Grid
    image: Grid
    has_cls: bool
    num_registers: int
    head_layers: int
    decoder_width: int | None
    decoder_layers: int
    decoder_hidden: int

    @property
    def audio_steps(self) -> int:
        """Spectrogram steps that the model sees."""
        return self.audio.columns * self.patch[0]

    @property
    def image_size(self) -> int:
        """Side of the picture, pixels."""
        return self.image.columns * self.patch[1]


def sizes_of_config(config: Config) -> Sizes:
    """Return the sizes of a configuration."""
    model, decoder = config.model, config.model.decoder
    side = config.data.image_size // model.image_patch
    columns = config.data.audio_steps // model.audio_patch
    return Sizes(
        width=model.width,
        modality_layers=model.modality_layers,
        joint_layers=model.joint_layers,
        hidden=int(model.width * model.mlp_ratio),
        patch=(model.audio_patch, model.image_patch),
        audio=Grid(MEL_BINS // model.audio_patch, columns),
        image=Grid(side, side),
        has_cls=model.pooling == "cls",
        num_registers=model.num_registers,
        head_layers=model.contrastive_head_layers,
        decoder_width=decoder.width,
        decoder_layers=decoder.num_layers,
        decoder_hidden=int(decoder.width * model.mlp_ratio),
    )


def sizes_of_state(state: Mapping[str, Tensor], where: str) -> Sizes:
    """Return the sizes of a released state dict.

    Args:
        state: Released names without prefix.
        where: File, for the error message.

    Raises:
        UserError: It is not a released state dict, or its layers have gaps.
    """
    if absent := [name for name in NEEDED if name not in state]:
        raise UserError(
            f"{where}: not a state dict of TG-DP, CAV-MAE Sync or CAV-MAE: it has no "
            f"{', '.join(absent)}, but {', '.join(list(state)[:3])}, ..."
        )
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    patch = (shapes["patch_embed_a.proj.weight"][-1], shapes["patch_embed_v.proj.weight"][-1])
    embed = shapes.get("decoder_embed.weight")
    return Sizes(
        width=shapes["patch_embed_v.proj.weight"][0],
        modality_layers=_twin_depth(shapes, "blocks_a", "blocks_v", where),
        joint_layers=depth(shapes, "blocks_u", where),
        hidden=shapes["blocks_u.0.mlp.fc1.weight"][0],
        patch=patch,
        audio=_audio_grid(shapes["pos_embed_a"][1], patch[0], where),
        image=_image_grid(shapes["pos_embed_v"][1], where),
        has_cls="cls_token_a" in shapes,
        num_registers=_registers(shapes, where),
        head_layers=_twin_depth(shapes, "constrative_head_audio", "constrative_head_visual", where),
        decoder_width=None if embed is None else embed[0],
        decoder_layers=depth(shapes, "decoder_blocks", where),
        decoder_hidden=shapes.get("decoder_blocks.0.mlp.fc1.weight", (0,))[0],
    )


def depth(names: Mapping[str, object], stack: str, where: str) -> int:
    """Return how many layers a stack has.

    Raises:
        UserError: A layer in between is missing.
    """
    pattern = re.compile(rf"{stack}\.(\d+)\.")
    numbers = {int(found[1]) for name in names if (found := pattern.match(name))}
    if absent := sorted(set(range(max(numbers, default=-1))) - numbers):
        raise UserError(f"{where}: layer {stack}.{absent[0]} is missing")
    return len(numbers)


def _twin_depth(names: Mapping[str, object], audio: str, image: str, where: str) -> int:
    first, second = depth(names, audio, where), depth(names, image, where)
    if first != second:
        raise UserError(f"{where}: {audio} has {first} layers and {image} has {second}")
    return first


def _registers(shapes: Mapping[str, tuple[int, ...]], where: str) -> int:
    rows = shapes.get("register_tokens", (0,))[0]
    if rows % 2:
        raise UserError(f"{where}: register_tokens has {rows} rows, not the same number twice")
    return rows // 2


def _audio_grid(num_patches: int, patch: int, where: str) -> Grid:
    rows = MEL_BINS // patch
    if num_patches % rows:
        raise UserError(f"{where}: pos_embed_a has {num_patches} places, not a multiple of {rows}")
    return Grid(rows, num_patches // rows)


def _image_grid(num_patches: int, where: str) -> Grid:
    side = math.isqrt(num_patches)
    if side**2 != num_patches:
        raise UserError(f"{where}: pos_embed_v has {num_patches} places, which is not a square")
    return Grid(side, side)
