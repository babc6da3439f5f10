"""Which features are meant, in words and as the name of their cache entry."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from tgdp.config import Config, DataConfig, ModelConfig
from tgdp.config.signature import science
from tgdp.data.clips import ClipDataset
from tgdp.evaluation.embed import GLOBAL, Way, ids_of
from tgdp.model.encoder import Encoder
from tgdp.training.loading import data_folder

FEATURES_VERSION = 1
"""Raised when the same weights and clips give other features; it enters every name."""

NOT_READ = frozenset({"name", "fingerprint", "train_split", "augment_image", "roll_audio"})
"""Fields of `data` that change nothing about a clip that is evaluated. The fingerprint is taken
from the folder itself."""

Stored = Literal["float32", "float16"]


@dataclass(frozen=True)
class FeatureRequest:
    """What is to be computed, but for the weights.

    Attributes:
        folder: Prepared data; where it lies is not part of the name.
        split: Which clips.
        data: How a clip becomes pictures and segments.
        model: Shape of the encoder: not all of it shows in the weights, the heads do not.
        way: How an input becomes a vector.
        dtype: How the vectors are stored.
    """

    folder: Path
    split: str
    data: DataConfig
    model: ModelConfig
    way: Way = GLOBAL
    dtype: Stored = "float32"


def request_of(
    config: Config,
    way: Way = GLOBAL,
    dtype: Stored = "float32",
    split: str | None = None,
) -> FeatureRequest:
    """Return the request for the data of a run.

    Args:
        config: The run.
        way: How an input becomes a vector.
        dtype: How the vectors are stored.
        split: Which clips; those of the evaluation split if None.

    Raises:
        UserError: The configuration names no data.
    """
    split = config.evaluation.split if split is None else split
    return FeatureRequest(data_folder(config), split, config.data, config.model, way, dtype)


def facts_of(encoder: Encoder, request: FeatureRequest, dataset: ClipDataset) -> dict[str, Any]:
    """Return everything that the features depend on, in words: what `meta.json` says.

    Args:
        encoder: Whose features they are.
        request: What is asked for.
        dataset: The clips.
    """
    data, model = science(request.data), science(request.model)
    del model["decoder"]
    card = dataset.clips.card
    return {
        "version": FEATURES_VERSION,
        "weights": weights_sha256(encoder),
        "model": model,
        "view": request.way.view,
        "precision": request.way.precision,
        "products": torch.get_float32_matmul_precision(),
        "dtype": request.dtype,
        "dataset": card.fingerprint,
        "split": request.split,
        "ids": hashlib.sha256(json.dumps(ids_of(dataset)).encode()).hexdigest(),
        "data": {name: value for name, value in data.items() if name not in NOT_READ},
        "shape": [len(dataset), card.num_frames, request.model.width],
    }


def key_of(facts: Mapping[str, Any]) -> str:
    """Return the name of a cache entry, 16 hexadecimal digits."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_sha256(encoder: Encoder) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of the weights, in order of names.

    The last, the best and an averaged checkpoint of equal content have the same one.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()
