"""Where two runs differ: keys of their configurations, and what they measured."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from tgdp.config import Config, from_dict, science, to_dict
from tgdp.errors import UserError
from tgdp.training.run_directory import RunDirectory

ABSENT = "(no such key)"


class Difference(NamedTuple):
    """A key or a number in which two runs differ.

    Attributes:
        key: Its dotted name.
        first: Its value in the first run.
        second: Its value in the second.
    """

    key: str
    first: Any
    second: Any

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.key}: {self.first} → {self.second}"


def stored(run: RunDirectory) -> dict[str, Any]:
    """Return the configuration of a run by dotted keys, as it is stored.

    It is not checked: a run of an earlier version may have keys that there are no more.

    Raises:
        UserError: There is none, or it is no YAML.
    """
    return flat(_read(run))


def stored_config(run: RunDirectory) -> Config | None:
    """Return the configuration of a run; None where it has none that this version understands."""
    try:
        return from_dict(_read(run), str(run.config_file))
    except (OSError, UserError):
        return None


def flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            found |= flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def between(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return the keys in which two flat mappings differ, by name."""
    return tuple(
        Difference(key, first.get(key, ABSENT), second.get(key, ABSENT))
        for key in sorted(first.keys() | second.keys())
        if first.get(key, ABSENT) != second.get(key, ABSENT)
    )


def of_science(run: RunDirectory, config: Config) -> tuple[Difference, ...]:
    """Return in which keys that can change a number a stored run differs from a configuration.

    Raises:
        UserError: The run has no configuration that can be read.
    """
    now = flat(to_dict(config))
    counts = flat(science(config)).keys()
    changed = between(stored(run), now)
    return tuple(one for one in changed if one.key in counts or one.second == ABSENT)


def numbers_of(run: RunDirectory) -> dict[str, float]:
    """Return every number that a run has measured, by name; none if it is not done."""
    numbers: dict[str, float] = dict((run.result() or {}).get("metrics", {}))
    for found in run.evaluation_results():
        if found.get("which", "last") == "last":
            numbers |= found.get("metrics", {})
    return numbers


def _read(run: RunDirectory) -> dict[str, Any]:
    import yaml

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        data = yaml.load(run.config_file.read_text(encoding="utf-8"), loader)
    except FileNotFoundError as error:
        raise UserError(f"{run.path}: was never started, it has no config.yaml") from error
    except yaml.YAMLError as error:
        raise UserError(f"{run.config_file}: not YAML ({error})") from error
    return cast("dict[str, Any]", data or {})
