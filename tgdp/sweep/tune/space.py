"""The space of a study, checked against a configuration; and its points."""

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tgdp.config import Config, keys, override
from tgdp.errors import UserError, unknown_name
from tgdp.sweep.resolve import OF_THE_DATA
from tgdp.sweep.tune.declare import Choice, Parameter, Study, is_equal

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Point = Mapping[str, Any]
"""A value for every key of a space."""


def check(study: Study, base: Config) -> None:
    """Refuse a space that the configuration does not have.

    Args:
        study: The declaration.
        base: What every trial starts from.

    Raises:
        UserError: A key does not exist or may not vary, or it does not take a value.
    """
    valid = keys(base)
    for parameter in study.space:
        key = parameter.key
        if key not in valid:
            raise UserError(f"study '{study.name}', space: {unknown_name('key', key, valid)}")
        if key.startswith("runtime.") or key in {"seed", "init.file"} | OF_THE_DATA:
            raise UserError(f"study '{study.name}', space: {key}: names no science that may vary")
        where = f"study '{study.name}', space"
        for value in parameter.ends():
            try:
                override(base, {key: value}, where)
            except UserError as error:
                # That it contradicts another key may be mended by that one.
                if str(error).startswith(f"{where}: {key}: "):
                    raise


def distributions(study: Study) -> "dict[str, BaseDistribution]":
    """Return the space as optuna has it."""
    return {parameter.key: _distribution(parameter) for parameter in study.space}


def _distribution(parameter: Parameter) -> "BaseDistribution":
    from optuna import distributions as optuna

    if isinstance(parameter, Choice):
        return optuna.CategoricalDistribution(parameter.values)
    low, high, log, step = parameter.low, parameter.high, parameter.log, parameter.step
    if parameter.is_whole:
        return optuna.IntDistribution(int(low), int(high), log, int(step or 1))
    return optuna.FloatDistribution(float(low), float(high), log, step)


def grid_size(study: Study) -> int:
    """Return the number of points of the grid.

    Raises:
        UserError: A range has no step.
    """
    size = 1
    for parameter in study.space:
        size *= len(parameter.grid())
    return size


def grid(study: Study) -> Iterator[Point]:
    """Yield every point of the grid, the last key varying fastest.

    Raises:
        UserError: A range has no step.
    """
    values = [parameter.grid() for parameter in study.space]
    for point in itertools.product(*values):
        yield dict(zip(study.keys, point, strict=True))


def is_same(one: Point, other: Point) -> bool:
    """Return whether two points are the same, but for rounding."""
    return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    return is_equal(one, other)


def point_of(study: Study, flat: Mapping[str, Any]) -> Point | None:
    """Return where a configuration lies in the space; None where it does not.

    Args:
        study: The declaration.
        flat: Every field by its dotted name.
    """
    point: dict[str, Any] = {}
    for parameter in study.space:
        value = flat.get(parameter.key)
        if not parameter.holds(value):
            return None
        point[parameter.key] = _declared(parameter, value)
    return point


def _declared(parameter: Parameter, value: Any) -> Any:
    """Return a value as the space writes it."""
    if isinstance(parameter, Choice):
        return next(one for one in parameter.values if is_equal(one, value))
    return int(value) if parameter.is_whole else float(value)
