"""Configurations as text: files, plain data, and the `key=value` words of a command line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from tgdp.config.root import Config
from tgdp.config.signature import keys
from tgdp.errors import UserError, unknown_name


def to_dict(config: BaseModel) -> dict[str, Any]:
    """Return the configuration as plain JSON types, every field present."""
    return config.model_dump(mode="json")


def from_dict(data: Mapping[str, Any], where: str = "configuration") -> Config:
    """Return the configuration that the plain data describes.

    Args:
        data: Nested mapping as `to_dict` makes it.
        where: File or command that the data came from, for the error message.

    Raises:
        UserError: A key is unknown, a type is wrong or two fields contradict each other.
    """
    try:
        return Config.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error)}") from error


def load(path: Path) -> Config:
    """Return the configuration stored in a YAML file.

    Raises:
        UserError: The file is absent, is not YAML or does not describe a configuration.
    """
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such configuration file") from error


def parse(text: str, where: str = "configuration") -> Config:
    """Return the configuration that a YAML text describes.

    Args:
        text: As `dump` makes it.
        where: File that the text came from, for the error message.

    Raises:
        UserError: The text is not YAML or does not describe a configuration.
    """
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where}: not YAML ({error})") from error
    return from_dict(data, where)


def dump(config: Config) -> str:
    """Return the configuration as YAML text that `load` reads back unchanged."""
    return yaml.safe_dump(to_dict(config), sort_keys=False)


def override(config: Config, changes: Mapping[str, Any], where: str = "--set") -> Config:
    """Return a copy with some fields changed.

    Args:
        config: What to start from.
        changes: Dotted key to new value, for example `{"contrastive.mask.ratio": 0.65}`.
        where: Who asked for the change, for the error message.

    Raises:
        UserError: A key does not exist (the nearest is suggested) or a value is not valid.
    """
    data = to_dict(config)
    for key, value in changes.items():
        *parents, leaf = key.split(".")
        if not _is_key(config, key):
            raise UserError(f"{where}: {unknown_name('key', key, keys(config))}")
        section = data
        for parent in parents:
            section = section[parent]
        section[leaf] = value
    return from_dict(data, where)


def _is_key(config: BaseModel, key: str) -> bool:
    """Return whether a dotted name is that of a field; all of them are listed only for an error."""
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, BaseModel) or part not in type(value).model_fields:
            return False
        value = getattr(value, part)
    return not isinstance(value, BaseModel)


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Return `key=value` words as typed changes for `override`.

    Raises:
        UserError: A word has no `=`.
    """
    changes: dict[str, Any] = {}
    for word in assignments:
        key, separator, text = word.partition("=")
        if not separator or not key:
            raise UserError(f"--set {word}: expected key=value, as in --set training.steps=100")
        changes[key.strip()] = _parse_value(text)
    return changes


def _parse_value(text: str) -> Any:
    value = yaml.safe_load(text)
    # YAML 1.1 reads 1e-4 as a string, because it has no dot; people write it all the time.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(error: ValidationError) -> str:
    lines: list[str] = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if not field else f" (got {problem['input']!r})"
        lines.append(f"{field}: {message}{got}" if field else message)
    return "; ".join(lines)
