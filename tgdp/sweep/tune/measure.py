"""What a finished run is worth to a study, read from its directory."""

from collections.abc import Iterable
from typing import NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.gpu_hours import HOUR_S
from tgdp.sweep.lifetime import look
from tgdp.sweep.tune.declare import GPU_HOURS, HOURS, MEMORY, RETRIEVAL, Study
from tgdp.training.run_directory import RunDirectory


class Measured(NamedTuple):
    """What a study wants to know of a run.

    Attributes:
        values: Of the objectives, in their order.
        excess: By how much each constraint is broken, by its name; 0 or less where it is kept.
    """

    values: tuple[float, ...]
    excess: dict[str, float]


class UnmeasuredError(UserError):
    """A run does not say something that the study asks for."""


def measure(study: Study, run: RunDirectory, dataset: str) -> Measured:
    """Return what a study wants to know of a run that is done.

    Args:
        study: The declaration.
        run: The run.
        dataset: Name of its data.

    Raises:
        UnmeasuredError: The run does not say one of the quantities.
    """
    values = tuple(quantity(one.quantity, run, dataset) for one in study.objectives)
    excess = {
        one.name: one.excess(quantity(one.quantity, run, dataset)) for one in study.constraints
    }
    return Measured(values, excess)


def quantity(name: str, run: RunDirectory, dataset: str) -> float:
    """Return one quantity of a run that is done.

    Args:
        name: As for `Objective`.
        run: The run.
        dataset: Name of its data.

    Raises:
        UnmeasuredError: The run does not say it.
    """
    if name == RETRIEVAL:
        return sum(_metric(f"retrieval/{dataset}/{way}/r1", run) for way in ("a2v", "v2a")) / 2
    if name == HOURS:
        return run.status().seconds / HOUR_S
    if name == GPU_HOURS:
        return _gpu_hours(run)
    if name == MEMORY:
        return _peak_memory(run)
    return _metric(name.format(dataset=dataset), run)


def wants_gpu(study: Study) -> bool:
    """Return whether a study asks for what only a run on a GPU has."""
    return GPU_HOURS in {one.quantity for one in (*study.objectives, *study.constraints)}


def no_gpu(where: str) -> UnmeasuredError:
    """Return the error for a study that asks for GPU-hours where there is no GPU."""
    return UnmeasuredError(f"{GPU_HOURS}: {where} saw no GPU; take '{HOURS}' in the study's file")


def _metric(name: str, run: RunDirectory) -> float:
    metrics = (run.result() or {}).get("metrics", {})
    if name not in metrics:
        valid = ", ".join((RETRIEVAL, HOURS, GPU_HOURS, MEMORY, *sorted(metrics)))
        raise UnmeasuredError(f"run {run.name} has no '{name}'. Valid: {valid}")
    return float(metrics[name])


def _gpu_hours(run: RunDirectory) -> float:
    (life,) = look(((run, run.status()),))
    seconds = life.gpu_s
    if not seconds:
        raise no_gpu(f"run {run.name}")
    return seconds / HOUR_S


def _peak_memory(run: RunDirectory) -> float:
    found = list(_logged(run, f"perf/{MEMORY}"))
    if not found:
        raise UnmeasuredError(f"run {run.name} has no '{MEMORY}': its events do not say it")
    return max(found)


def _logged(run: RunDirectory, name: str) -> Iterable[float]:
    for event in run.events():
        if event.get("kind") == "metric" and name in event["values"]:
            yield float(event["values"][name])
