"""Released checkpoint files: what they are, and their weights under our names, strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tgdp.config import Config, from_dict
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.model.released.compare import Report, compare, is_classifier
from tgdp.model.released.names import PREFIX, from_released
from tgdp.model.released.sizes import Sizes, sizes_of_state

HEAD_WIDTH = 64
DECODER_HEAD_WIDTH = 32
"""Width of an attention head where nothing else is said: 12 heads at 768 and 16 at 512, as
published. No shape tells it."""

CLIP_STEPS = 1024
"""Steps of CAV-MAE, which hears the whole clip."""

SHOWN = 5
"""Names that an error lists before it only counts."""


@dataclass(frozen=True)
class Heads:
    """Attention heads, which no shape tells; None is the published width of a head."""

    encoder: int | None = None
    decoder: int | None = None


@dataclass(frozen=True)
class Released:
    """A released checkpoint.

    Attributes:
        where: File it was read from.
        kind: Which model it is of, in words.
        sizes: What its shapes tell.
        tensors: Under the released names, without prefix.
        report: What became of every name.
        heads: Heads to build the model with.
    """

    where: str
    kind: str
    sizes: Sizes
    tensors: Mapping[str, Tensor]
    report: Report
    heads: Heads = Heads()

    @property
    def config(self) -> Config:
        """The configuration that evaluates this checkpoint; it trains nothing.

        Raises:
            UserError: The number of heads does not fit the width.
        """
        return _config(self.sizes, self.heads, self.where)

    @property
    def student(self) -> dict[str, Tensor]:
        """Weights under our names, for a strict `load_state_dict`."""
        return from_released({name: self.tensors[name] for name in self.report.loaded})

    def build_student(self) -> Student:
        """Return our model with these weights, on the CPU.

        Raises:
            UserError: The file holds no decoder, or the heads do not fit.
        """
        if self.sizes.decoder_width is None:
            raise UserError(f"{self.where}: holds no decoder, so only an encoder can be built")
        model = Student(self.config)
        model.load_state_dict(self.student, strict=True)
        return model

    def build_encoder(self) -> Encoder:
        """Return our encoder with these weights, on the CPU: all that retrieval needs.

        Raises:
            UserError: The heads do not fit.
        """
        prefix = "encoder."
        model, weights = Encoder(self.config), self.student
        own = {name: value for name, value in weights.items() if name.startswith(prefix)}
        model.load_state_dict({name.removeprefix(prefix): own[name] for name in own}, strict=True)
        return model


def read_checkpoint(path: Path, heads: Heads = Heads()) -> Released:
    """Return a released checkpoint, every name accounted for.

    Args:
        path: File with a state dict, plain or under `model`, with or without `module.`.
        heads: Attention heads where they are not the published ones.

    Raises:
        UserError: The file cannot be read, or holds anything that is not explained.
    """
    released = examine(read_state(path), str(path), heads)
    if problems := released.report.problems:
        shown = "; ".join(f"{name}: {problems[name]}" for name in list(problems)[:SHOWN])
        more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise UserError(f"{path}: {len(problems)} names are not explained: {shown}{more}")
    return released


def examine(state: Mapping[str, Tensor], where: str, heads: Heads = Heads()) -> Released:
    """Return what a state dict is, with its problems in the report instead of an error.

    Args:
        state: Released names without prefix.
        where: File, for messages.
        heads: Attention heads where they are not the published ones.

    Raises:
        UserError: It is none of the released models'.
    """
    sizes = sizes_of_state(state, where)
    return Released(where, _kind(state, sizes), sizes, state, compare(state, sizes), heads)


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a file, without the `module.` prefix.

    Only tensors and plain containers are read: a file that would run code is refused.

    Raises:
        UserError: The file is absent, damaged or not a state dict.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    # A damaged file fails in many ways: zip, pickle, storage sizes, forbidden classes.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UserError(f"{path}: not a file of weights alone ({reason})") from error
    return _unwrap(content, path)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, dict) and {"format", "student", "config"} <= content.keys():
        raise UserError(
            f"{path}: a checkpoint of tgdp itself; `tgdp-eval export` writes it in the released "
            "naming"
        )
    state = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state:
        raise UserError(f"{path}: not a state dict")
    if other := [str(name) for name, value in state.items() if not isinstance(value, Tensor)]:
        raise UserError(f"{path}: not a state dict: {', '.join(other[:SHOWN])} is not a tensor")
    plain = {str(name).removeprefix(PREFIX): value for name, value in state.items()}
    if len(plain) < len(state):
        raise UserError(f"{path}: some names are there twice, with and without '{PREFIX}'")
    return plain


def _kind(state: Mapping[str, Tensor], sizes: Sizes) -> str:
    if "cls_token_av" in state:
        return "CAV-MAE start weights, adapted from an ImageNet MAE"
    kind = "CAV-MAE" if _is_cav_mae(sizes) else "TG-DP or CAV-MAE Sync"
    if any(is_classifier(name) for name in state):
        return f"{kind}, fine-tuned"
    return f"{kind}, encoder only" if sizes.decoder_width is None else kind


def _is_cav_mae(sizes: Sizes) -> bool:
    plain = not (sizes.has_cls or sizes.num_registers or sizes.head_layers)
    return plain and sizes.audio_steps == CLIP_STEPS


def _config(sizes: Sizes, heads: Heads, where: str) -> Config:
    steps = "clip_steps" if _is_cav_mae(sizes) else "segment_steps"
    decoder = sizes.decoder_width or 512  # Encoder only: the published one, never filled.
    model = {
        "width": sizes.width,
        "num_heads": heads.encoder or _heads(sizes.width, HEAD_WIDTH, "--heads", where),
        "modality_layers": sizes.modality_layers,
        "joint_layers": sizes.joint_layers,
        "mlp_ratio": sizes.hidden / sizes.width,
        "pooling": "cls" if sizes.has_cls else "mean",
        "num_registers": sizes.num_registers,
        "contrastive_head_layers": sizes.head_layers,
        "audio_patch": sizes.patch[0],
        "image_patch": sizes.patch[1],
        "decoder": {
            "width": decoder,
            "num_heads": heads.decoder
            or _heads(decoder, DECODER_HEAD_WIDTH, "Heads(decoder=...)", where),
            "num_layers": sizes.decoder_layers or 8,
        },
    }
    return from_dict(
        {
            "data": {
                "name": "released",
                "image_size": sizes.image_size,
                "audio": "clip" if _is_cav_mae(sizes) else "segment",
                steps: sizes.audio_steps,
                # As the model was trained and as its script evaluates it.
                "timing": "upstream",
            },
            "model": model,
            "contrastive": {"mask": {"selection": "random"}},
            "teacher": {"enabled": False},
            "distillation": {"weight": 0.0},
            "training": {"steps": 1},
        },
        where,
    )


def _heads(width: int, of_one: int, option: str, where: str) -> int:
    if width % of_one:
        raise UserError(
            f"{where}: the number of attention heads cannot be read from shapes, and width {width} "
            f"is not a multiple of the published {of_one} a head; give it with {option}"
        )
    return width // of_one
