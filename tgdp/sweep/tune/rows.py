"""The trials of a study as plain data, for `--json`, for tables and for lines of text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.declare import GPU_HOURS, HOURS, RETRIEVAL
from tgdp.sweep.tune.task import Task

SHARE = re.compile(r"/(r\d+|top\d|map)$")


def rows(task: Task, trials: Sequence[Trial], best: Sequence[int]) -> list[dict[str, Any]]:
    """Return every trial as plain JSON types.

    Args:
        task: The study.
        trials: Its trials.
        best: Numbers of the best one, or of those on the Pareto front.
    """
    return [_row(task, trial, best) for trial in trials]


def _row(task: Task, trial: Trial, best: Sequence[int]) -> dict[str, Any]:
    names = [objective.quantity for objective in task.study.objectives]
    return {
        "trial": trial.label,
        "state": trial.state,
        "run": trial.run,
        "directory": str(task.results / "runs" / trial.run) if trial.run else "",
        "imported": trial.imported,
        "best": trial.number in best,
        "params": dict(trial.point),
        "values": dict(zip(names, trial.values, strict=False)),
        "excess": dict(trial.excess),
        "pruned_after_epoch": trial.pruning,
        "error": trial.error,
    }


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the keys without what is not needed: two words of each, more to tell them apart."""
    found: dict[str, str] = {}
    for key in keys:
        parts = key.split(".")
        ends = (".".join(parts[-n:]) for n in range(2, len(parts) + 1))
        others = [other for other in keys if other != key]
        is_clear = (end for end in ends if not any(_ends_with(other, end) for other in others))
        found[key] = next(is_clear, key)
    return found


def _ends_with(key: str, end: str) -> bool:
    return key == end or key.endswith(f".{end}")


def word(value: object) -> str:
    """Return a value of a key in as few characters as say it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def told(quantity: str, value: float) -> str:
    """Return a value of an objective as people read it."""
    if is_share(quantity):
        return f"{100 * value:.1f} %"
    return f"{value:.3g} h" if quantity in {HOURS, GPU_HOURS} else f"{value:.4g}"


def is_share(quantity: str) -> bool:
    """Return whether a quantity is shown as a percentage, as R@k, top-1 and mAP are."""
    return quantity == RETRIEVAL or SHARE.search(quantity) is not None


def point_words(point: Mapping[str, Any]) -> str:
    """Return a point in one line, for example `mask.ratio 0.5, distillation.weight 1`."""
    names = short_names(list(point))
    return ", ".join(f"{names[key]} {word(value)}" for key, value in point.items())
