"""Over what the numbers of a run were counted that were measured after its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.track_store import TrackedRun
from tgdp.training.run_directory import RunDirectory


class Measured(NamedTuple):
    """What one number was counted over.

    Attributes:
        split: Split that was tested on.
        fingerprint: Content of the data.
        clips: Number of clips.
    """

    split: str
    fingerprint: str
    clips: int


UNKNOWN = Measured("", "", 0)
"""The run's folder is on another machine."""


def measured(run: TrackedRun) -> dict[str, Measured]:
    """Return over what the metrics of a run were counted, by their names.

    The store holds the numbers, the folder of the run what they were counted over. Two evaluations
    may have measured a metric, on two splits: the one whose number the store holds is meant.

    Args:
        run: As the store holds it.
    """
    found: dict[str, Measured] = {}
    for result in evaluations(run):
        facts = Measured(
            str(result.get("split", "")), str(result.get("fingerprint", "")), int(result["n"])
        )
        metrics: Mapping[str, Any] = result["metrics"]
        found |= {name: facts for name, value in metrics.items() if run.metrics.get(name) == value}
    return found


def evaluations(run: TrackedRun) -> list[dict[str, Any]]:
    """Return the evaluations in the folder of a run; none where it is on another machine.

    Args:
        run: As the store holds it.
    """
    folder = run.tags.get("tgdp.directory", "")
    try:
        results = RunDirectory(Path(folder)).evaluation_results() if folder else []
    except UserError:
        return []  # The sync that came before has named the file.
    return [result for result in results if {"n", "metrics"} <= result.keys()]
