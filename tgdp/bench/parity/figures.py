"""A file of the released model's figures: its arrays by name, and the sizes it was made with."""

import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tgdp.config import MEL_BINS, Config, from_dict
from tgdp.errors import UserError

Array = NDArray[Any]

REQUIRED = (
    "embed_dim",
    "num_heads",
    "modality_depth",
    "joint_depth",
    "decoder_embed_dim",
    "decoder_depth",
    "decoder_num_heads",
    "num_register_tokens",
    "audio_steps",
    "image_size",
    "patch_size",
)
"""Sizes of the model that a file has to state, under `config/`."""

OPTIONAL = ("mel_bins",)


@dataclass(frozen=True)
class Figures:
    """What the released model was given and what it computed.

    Attributes:
        path: Where it was read from, for messages.
        arrays: Every array of the file by name; where an output is NaN it was not kept.
    """

    path: Path
    arrays: Mapping[str, Array]

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def __getitem__(self, key: str) -> Array:
        if key not in self.arrays:
            raise UserError(f"{self.path}: no '{key}' in this file of figures")
        return self.arrays[key]

    def under(self, folder: str) -> dict[str, Array]:
        """Return the arrays of one folder (`weights/`) by the rest of their name."""
        return {
            name.removeprefix(folder): value
            for name, value in self.arrays.items()
            if name.startswith(folder)
        }


def read_figures(path: Path) -> Figures:
    """Return the figures of an `.npz` file.

    Raises:
        UserError: The file is absent or is not an `.npz` file of plain arrays.
    """
    try:
        with np.load(path) as archive:
            return Figures(path, {name: archive[name] for name in archive.files})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of figures") from error
    except (OSError, EOFError, ValueError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not an .npz file of plain arrays") from error


def config_of(figures: Figures) -> Config:
    """Return the run that the released figures stand for, sizes from the file.

    Two passes with random masks, no teacher, two-way InfoNCE of weight 0.01: their total loss.

    Raises:
        UserError: A size is missing, is not a whole number, or the sizes do not fit together.
    """
    if "config/mel_bins" in figures and _size(figures, "mel_bins") != MEL_BINS:
        raise UserError(f"{figures.path}: 'config/mel_bins' must be {MEL_BINS}")
    size = {name: _size(figures, name) for name in REQUIRED}
    data = {
        "data": {"image_size": size["image_size"], "segment_steps": size["audio_steps"]},
        "model": _model(figures, size),
        "reconstruction": {"mask": {"ratio": 0.75}},
        "contrastive": {"mask": {"selection": "random", "ratio": 0.5}, "weight": 0.01},
        "teacher": {"enabled": False},
        "distillation": {"weight": 0.0},
        "training": {"steps": 1},
    }
    return from_dict(data, str(figures.path))


def unknown_sizes(figures: Figures) -> list[str]:
    """Return the entries of `config/` that nothing here reads."""
    return sorted(set(figures.under("config/")) - {*REQUIRED, *OPTIONAL})


def _model(figures: Figures, size: Mapping[str, int]) -> dict[str, Any]:
    return {
        "width": size["embed_dim"],
        "num_heads": size["num_heads"],
        "modality_layers": size["modality_depth"],
        "joint_layers": size["joint_depth"],
        "mlp_ratio": _mlp_ratio(figures),
        "num_registers": size["num_register_tokens"],
        "contrastive_head_layers": _head_layers(figures),
        "image_patch": size["patch_size"],
        "audio_patch": size["patch_size"],
        "decoder": {
            "width": size["decoder_embed_dim"],
            "num_layers": size["decoder_depth"],
            "num_heads": size["decoder_num_heads"],
        },
    }


def _size(figures: Figures, name: str) -> int:
    value = figures[f"config/{name}"]
    if value.size != 1 or value.item() != int(value.item()):
        raise UserError(f"{figures.path}: 'config/{name}' must be one whole number")
    return int(value.item())


def _mlp_ratio(figures: Figures) -> float:
    """Return hidden over outer width, which only the weights tell."""
    shapes = (
        value.shape
        for name, value in figures.under("weights/").items()
        if name.endswith("mlp.fc1.weight")
    )
    hidden, outer = next(shapes, (4, 1))
    return hidden / outer


def _head_layers(figures: Figures) -> int:
    """Return the number of contrastive head layers; the released code spells their name so."""
    pattern = re.compile(r"(?:module\.)?constrative_head_audio\.(\d+)\.")
    return len({found[1] for name in figures.under("weights/") if (found := pattern.match(name))})
