"""Checkpoints whose content tells which step they are of."""

from pathlib import Path
from typing import Any

import torch


def content(step: int, numbers: int = 100) -> dict[str, Any]:
    """What is saved at a step: a weight of so many numbers."""
    return {"weight": torch.full((numbers,), float(step)), "name": f"of step {step}"}


def check(state: dict[str, Any] | None, step: int) -> None:
    """Hold a checkpoint against what was saved at that step."""
    assert state is not None
    assert state["step"] == step
    assert state["name"] == f"of step {step}"
    assert state["weight"].unique().tolist() == [float(step)]


def names(folder: Path) -> list[str]:
    """Every file there is."""
    return sorted(path.name for path in folder.iterdir())


def with_checksums(*files: str) -> list[str]:
    """The names of files, and those of their checksums."""
    return sorted([*files, *(f"{name}.sha256" for name in files)])
