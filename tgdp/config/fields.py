"""What every section of a configuration is made of.

A field that only says where or how fast a run is computed is declared with `runtime(...)`; every
other one is science and part of the run's name. A field of science that came after runs had been
named is declared with `added(...)`: while it is at its default, which must mean what was done
before there was a choice, it stays out of the name, so that those runs keep theirs.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

RUNTIME: dict[str, JsonValue] = {"runtime": True}
ADDED: dict[str, JsonValue] = {"added": True}


def runtime(default: Any, description: str, **limits: Any) -> Any:
    """Declare a field that cannot change a result, so that it stays out of the signature."""
    return Field(default, description=description, json_schema_extra=RUNTIME, **limits)


def added(default: Any, description: str, **limits: Any) -> Any:
    """Declare a field that enters the signature once it is not at its default."""
    return Field(default, description=description, json_schema_extra=ADDED, **limits)


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys, wrong types, inf and nan."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
