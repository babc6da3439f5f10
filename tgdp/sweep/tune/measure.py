"""What a finished run is worth to a study, read from its directory."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.gpu_hours import HOUR_S
from tgdp.sweep.lifetime import Life, judge, look
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
    (life,) = _lives(study, (run,))
    return _measured(study, life, dataset)


def measure_all(
    study: Study, runs: Sequence[RunDirectory], dataset: str
) -> tuple[Measured | None, ...]:
    """Return what a study wants to know of runs that are done; None of one that does not say it.

    Args:
        study: The declaration.
        runs: The runs.
        dataset: Name of their data.
    """
    return tuple(_measured_or_none(study, life, dataset) for life in _lives(study, runs))


def quantity(name: str, life: Life, dataset: str) -> float:
    """Return one quantity of a run that is done.

    Args:
        name: As for `Objective`.
        life: How the run is.
        dataset: Name of its data.

    Raises:
        UnmeasuredError: The run does not say it.
    """
    run = life.run
    if name == RETRIEVAL:
        return sum(_metric(f"retrieval/{dataset}/{way}/r1", run) for way in ("a2v", "v2a")) / 2
    if name == HOURS:
        return life.status.seconds / HOUR_S
    if name == GPU_HOURS:
        return _gpu_hours(life)
    if name == MEMORY:
        return _peak_memory(run)
    return _metric(name.format(dataset=dataset), run)


def wants_gpu(study: Study) -> bool:
    """Return whether a study asks for what only a run on a GPU has."""
    return GPU_HOURS in {one.quantity for one in (*study.objectives, *study.constraints)}


def no_gpu(where: str) -> UnmeasuredError:
    """Return the error for a study that asks for GPU-hours where there is no GPU."""
    return UnmeasuredError(f"{GPU_HOURS}: {where} saw no GPU; take '{HOURS}' in the study's file")


def _lives(study: Study, runs: Sequence[RunDirectory]) -> tuple[Life, ...]:
    """Return how runs are; the scheduler is asked once for all, and not but for GPU-hours."""
    pairs = [(run, run.status()) for run in runs]
    return look(pairs) if wants_gpu(study) else tuple(judge(*pair) for pair in pairs)


def _measured(study: Study, life: Life, dataset: str) -> Measured:
    values = tuple(quantity(one.quantity, life, dataset) for one in study.objectives)
    excess = {
        one.name: one.excess(quantity(one.quantity, life, dataset)) for one in study.constraints
    }
    return Measured(values, excess)


def _measured_or_none(study: Study, life: Life, dataset: str) -> Measured | None:
    try:
        return _measured(study, life, dataset)
    except UnmeasuredError:
        return None


def _metric(name: str, run: RunDirectory) -> float:
    metrics = (run.result() or {}).get("metrics", {})
    if name not in metrics:
        valid = ", ".join((RETRIEVAL, HOURS, GPU_HOURS, MEMORY, *sorted(metrics)))
        raise UnmeasuredError(f"run {run.name} has no '{name}'. Valid: {valid}")
    return float(metrics[name])


def _gpu_hours(life: Life) -> float:
    seconds = life.gpu_s
    if not seconds:
        raise no_gpu(f"run {life.run.name}")
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
