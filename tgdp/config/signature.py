"""The signature: a run is named by the hash of its science, whoever asks for it.

Every field that can change a number is *science* and enters the signature. A field that only says
where or how fast a run is computed is declared with `runtime(...)` and stays out of it; one that
was `added(...)` later stays out while at its default.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tgdp.config.fields import ADDED, RUNTIME
from tgdp.config.root import Config

SIGNATURE_VERSION = 1
"""Raised when the way a signature is computed changes; it enters every signature."""


def keys(config: BaseModel) -> list[str]:
    """Return the dotted name of every field that can be set."""
    names: list[str] = []
    for name in type(config).model_fields:
        value = getattr(config, name)
        below = [f"{name}.{key}" for key in keys(value)] if isinstance(value, BaseModel) else [name]
        names.extend(below)
    return names


def flatten(config: BaseModel) -> dict[str, Any]:
    """Return every field by its dotted name, in plain JSON types."""
    flat: dict[str, Any] = {}
    for name in keys(config):
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        flat[name] = str(value) if isinstance(value, Path) else value
    return flat


def science(config: BaseModel) -> dict[str, Any]:
    """Return the fields that can change a number, nested; without `added` ones at their default."""
    kept: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        is_as_before = field.json_schema_extra == ADDED and value == field.default
        if is_as_before or field.json_schema_extra == RUNTIME:
            continue
        kept[name] = science(value) if isinstance(value, BaseModel) else value
    return kept


def signature(config: Config) -> str:
    """Return the name of the run: a hash of everything that can change its numbers."""
    return _digest(science(config))


def signatures(config: Config, seeds: Sequence[int]) -> list[str]:
    """Return the name of the run at each of some seeds; everything else is written out once."""
    kept = science(config)
    before = {key: value for key, value in kept.items() if key < "seed"}
    after = {key: value for key, value in kept.items() if key > "seed"}
    head = _text([SIGNATURE_VERSION, before])[:-2]
    tail = _text(after)[1:]
    return [_hash(f'{head},"seed":{_text(seed)},{tail}]') for seed in seeds]


def pretrain_signature(config: Config) -> str:
    """Return the name of the checkpoint: the same hash without what is evaluated afterwards."""
    kept = science(config)
    del kept["evaluation"]
    return _digest(kept)


def _digest(data: Mapping[str, Any]) -> str:
    return _hash(_text([SIGNATURE_VERSION, data]))


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
