"""What must be the same of two runs of one science, however they were interrupted."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from tgdp.training import checkpoint, retention
from tgdp.training.run_directory import RunDirectory

LEARNED = ("student", "teacher", "optimizer", "scaler", "lost")
"""What training changes, as it lies in a checkpoint."""


def differing(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """Return the names under which two runs hold not the same, or only one holds anything."""
    return sorted(dict(ours.items() ^ theirs.items()))


def final(run: RunDirectory) -> dict[str, str]:
    """Return every number of the newest checkpoint, exact; tensors as a hash of their bytes."""
    stored = checkpoint.load_newest(run.checkpoints)
    assert stored is not None
    assert stored["step"] == run.status().total_steps
    return exact(stored)


def everything(run: RunDirectory) -> dict[str, str]:
    """Return every file in `checkpoints/`, and every number in those that hold numbers."""
    found: dict[str, str] = {}
    for path in sorted(run.checkpoints.iterdir()):
        found[path.name] = ""
        if path.suffix == ".pt":
            stored = checkpoint.load(path)
            if path.name != "best.pt":
                assert stored["step"] == retention.step_of(path)
            found |= {f"{path.name} {name}": value for name, value in exact(stored).items()}
    return found


def exact(stored: dict[str, Any]) -> dict[str, str]:
    """Return every number of a checkpoint by its name, exact."""
    return numbers({key: stored[key] for key in ("step", *LEARNED)})


def numbers(value: Any) -> dict[str, str]:
    """Return everything in nested dictionaries by its name, exact."""
    return dict(_lines("", value))


def _lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _lines(f"{name}/{key}", value[key])
    elif isinstance(value, torch.Tensor):
        digest = hashlib.sha256(value.numpy().tobytes()).hexdigest()
        yield name, f"{value.dtype} {tuple(value.shape)} {digest}"
    else:
        yield name, repr(value)


def metrics(run: RunDirectory) -> list[tuple[int, dict[str, float]]]:
    """Return every metric event in order, without time stamps and speeds."""
    return [
        (event["step"], {k: v for k, v in event["values"].items() if not k.startswith("perf/")})
        for event in run.events()
        if event["kind"] == "metric"
    ]


def measured(run: RunDirectory) -> dict[str, float]:
    """Return the metrics of the result."""
    result = run.result()
    assert result is not None
    return result["metrics"]
