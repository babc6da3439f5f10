"""A study as data: which keys may vary and how far, what is sought, what is not acceptable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tgdp.errors import UserError, unknown_name
from tgdp.sweep import declare

Number = int | float

Scalar = bool | int | float | str | None
"""What a choice may be; optuna's storages keep nothing else."""

Direction = Literal["maximize", "minimize"]

RETRIEVAL = "retrieval"
HOURS, GPU_HOURS, MEMORY = "hours", "gpu_hours", "peak_memory_gib"

QUANTITIES = (RETRIEVAL, HOURS, GPU_HOURS, MEMORY, *(one.key for one in declare.RETRIEVAL))
"""What a study may ask of a run."""

ROUNDING = 1e-8
"""A value that is so close to one of a stepped range is that one."""


def is_equal(one: object, other: object) -> bool:
    """Return whether two values are the same to a configuration: 1 is 1.0, and True is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


@dataclass(frozen=True)
class Choice:
    """A key that takes one of some values.

    Attributes:
        key: Dotted key of the configuration.
        values: What it may be.
    """

    key: str
    values: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError(f"Choice('{self.key}'): give at least one value")
        if any(isinstance(value, list | dict | tuple | set) for value in self.values):
            raise UserError(f"Choice('{self.key}'): a value must be a number, a word, a bool, None")
        if len(self.grid()) < len(self.values):
            raise UserError(f"Choice('{self.key}'): a value stands there twice")

    def grid(self) -> tuple[Scalar, ...]:
        """Return every value once."""
        # 1 and 1.0 are one value of a configuration; True is another.
        return tuple({(isinstance(one, bool), one): one for one in self.values}.values())

    def ends(self) -> tuple[Scalar, ...]:
        """Return the values that show whether the configuration takes them: here all."""
        return self.values

    def holds(self, value: object) -> bool:
        """Return whether a value is one of them."""
        return any(is_equal(one, value) for one in self.values)


@dataclass(frozen=True)
class Range:
    """A key that takes any number between two; a whole number where both ends are.

    Attributes:
        key: Dotted key of the configuration.
        low: Smallest value.
        high: Largest value.
        log: Drawn evenly over the logarithm.
        step: From one value to the next; any number if None.
    """

    key: str
    low: Number
    high: Number
    log: bool = False
    step: Number | None = None

    def __post_init__(self) -> None:
        name = f"Range('{self.key}', {self.low}, {self.high})"
        if self.low >= self.high:
            raise UserError(f"{name}: the lower end must be below the upper one")
        if self.log and self.low <= 0:
            raise UserError(f"{name}: log needs a lower end above 0")
        if self.log and self.step is not None:
            raise UserError(f"{name}: has no step with log; take Choice for some values of it")
        if self.step is not None and self.step <= 0:
            raise UserError(f"{name}: step {self.step}: must be above 0")
        if self.step is not None and self.is_whole and not isinstance(self.step, int):
            raise UserError(f"{name}: step {self.step}: must be whole, as the ends are")
        if self.step is not None and not self.holds(self.high):
            raise UserError(f"{name}: step {self.step} does not end at {self.high}")

    @property
    def is_whole(self) -> bool:
        """Whether it takes whole numbers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def grid(self) -> tuple[Number, ...]:
        """Return every value.

        Raises:
            UserError: It has no step.
        """
        if self.step is None:
            raise UserError(
                f"--sampler grid: Range('{self.key}') has no step, so it has no list of values; "
                "give it a step or take Choice, or take --sampler tpe"
            )
        number = round((self.high - self.low) / self.step)
        if self.is_whole:
            return tuple(int(self.low + index * self.step) for index in range(number + 1))
        # As the decimal that it stands for: 0.15000000000000002 would be a run of its own.
        return tuple(round(self.low + index * self.step, 12) for index in range(number + 1))

    def ends(self) -> tuple[Number, ...]:
        """Return the values that show whether the configuration takes them."""
        return self.low, self.high

    def holds(self, value: object) -> bool:
        """Return whether a value is one of them."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.is_whole and not isinstance(value, int):
            return False
        if not self.low <= value <= self.high:
            return False
        if self.step is None:
            return True
        steps = (value - self.low) / self.step
        return abs(steps - round(steps)) <= ROUNDING


Parameter = Choice | Range


@dataclass(frozen=True)
class Objective:
    """What is sought.

    Attributes:
        quantity: One of `QUANTITIES`: `retrieval` (mean of A->V and V->A R@1), `hours`,
            `gpu_hours`, `peak_memory_gib`, or a metric of `result.json`, with `{dataset}` for the
            name of the data.
        direction: Whether more or less of it is better.
    """

    quantity: str
    direction: Direction


@dataclass(frozen=True)
class Constraint:
    """What a trial must keep to, or it is infeasible.

    Attributes:
        quantity: As for an objective.
        upper: The most that it may be.
        lower: The least that it may be.
    """

    quantity: str
    upper: float | None = None
    lower: float | None = None

    def __post_init__(self) -> None:
        if (self.upper is None) == (self.lower is None):
            raise UserError(f"Constraint('{self.quantity}'): give either upper or lower")

    @property
    def name(self) -> str:
        """It in words, for example `hours <= 2`."""
        if self.upper is not None:
            return f"{self.quantity} <= {self.upper:g}"
        return f"{self.quantity} >= {self.lower:g}"

    def excess(self, value: float) -> float:
        """Return by how much a value breaks it; 0 or less where it does not."""
        return value - self.upper if self.upper is not None else (self.lower or 0.0) - value


@dataclass(frozen=True)
class Study:
    """A search for good settings.

    Attributes:
        name: Its trials are called `<name>/t003@0`.
        question: What it answers, in one sentence.
        space: The keys that vary.
        objectives: What is sought; more than one gives a Pareto front.
        constraints: What every trial must keep to.
        common: Dotted keys in which all trials differ from the preset; `--set` goes on top.
    """

    name: str
    question: str
    space: tuple[Parameter, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()
    common: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        keys = self.keys
        quantities = [objective.quantity for objective in self.objectives]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise UserError(f"study '{self.name}': a name has letters, digits, - and _ only")
        if not keys or not quantities:
            raise UserError(f"study '{self.name}': needs a space and an objective")
        if twice:
            raise UserError(f"study '{self.name}': {', '.join(twice)} stands in the space twice")
        for asked in (*quantities, *(one.quantity for one in self.constraints)):
            if asked not in QUANTITIES:
                raise unknown_name(f"quantity of study '{self.name}'", asked, QUANTITIES)
        if len(set(quantities)) < len(quantities):
            raise UserError(f"study '{self.name}': an objective stands there twice")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary."""
        return tuple(parameter.key for parameter in self.space)
