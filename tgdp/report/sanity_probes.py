"""What the evaluations behind a column of probes say: how they were made, what guessing gets."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from tgdp.errors import UserError
from tgdp.evaluation.probe.settings import ProbeSettings
from tgdp.report.measured import evaluations
from tgdp.report.probes import KINDS, ProbeMetric
from tgdp.report.sanity_request import Probe
from tgdp.report.table import Table
from tgdp.sweep.track import Tracked

FIELDS = frozenset(field.name for field in fields(ProbeSettings))


class Told(NamedTuple):
    """What the evaluations behind a column say.

    Attributes:
        seeds: The different seeds of their runs.
        clips: Clips tested; 0 where none says so.
        chance: What guessing gets, as a fraction.
        no_chance: Why it is not known.
        probe: How all of them were made.
        no_probe: Why it is not known.
    """

    seeds: tuple[int, ...]
    clips: int = 0
    chance: float | None = None
    no_chance: str = ""
    probe: Probe | None = None
    no_probe: str = ""


def told(table: Table, column: int, tracked: Tracked) -> Told:
    """Return what the evaluations of the runs in a column of probes say.

    Args:
        table: The table.
        column: Place of the column.
        tracked: What the store holds: it says where the runs lie.
    """
    metric = table.sweep.metrics[column]
    assert isinstance(metric, ProbeMetric)
    seeds = tuple(sorted({seed for row in table.rows for seed in row.entries[column].seeds}))
    found = _evaluations(table, column, metric, tracked)
    if not found:
        why = "evaluations/ of its runs is not on this machine"
        return Told(seeds, no_chance=why, no_probe=why)
    clips = int(found[0][1]["n"])
    levels = (chance(evaluation, metric.kind) for _, evaluation in found)
    level = next((level for level in levels if level is not None), None)
    no_chance = "" if level is not None else "its evaluations do not say how many clips a class has"
    try:
        probe = _probe(found)
    except UserError as error:
        return Told(seeds, clips, level, no_chance, no_probe=str(error))
    return Told(seeds, clips, level, no_chance, probe)


def chance(evaluation: Mapping[str, Any], kind: str) -> float | None:
    """Return what guessing gets; None where nothing is said of the clips of a class.

    Args:
        evaluation: Of a probe: clips tested, classes, clips of each class present.
        kind: `mAP`: the mean over all classes of the share of positives, which scores have that
            are all equal; random order comes the closer to it the more clips there are. `Top-1`:
            1 over the number of classes present, however frequent each is.

    Example:
        >>> told = {"n": 4, "classes": 3, "per_class": [{"n": 3}, {"n": 2}]}
        >>> chance(told, "mAP"), chance(told, "Top-1")  # (3/4 + 2/4 + 0) / 3; 1/2
        (0.4166666666666667, 0.5)
    """
    counts = [row.get("n") for row in evaluation.get("per_class", [])]
    classes = evaluation.get("classes")
    if not counts or None in counts or not classes:
        return None
    if kind == KINDS["top1"]:
        return 1 / len(counts)
    return sum(count / evaluation["n"] for count in counts) / classes


def _evaluations(
    table: Table, column: int, metric: ProbeMetric, tracked: Tracked
) -> list[tuple[str, dict[str, Any]]]:
    """Return the runs of a column, and the evaluations that its numbers are of."""
    found: list[tuple[str, dict[str, Any]]] = []
    for row in table.rows:
        for seed, signature in zip(row.seeds, row.signatures, strict=True):
            run = tracked.runs[signature]
            if seed in row.entries[column].seeds:
                number = run.metrics.get(metric.column)
                mine = (one for one in evaluations(run) if _is_of(one, metric, number))
                found += [(signature, one) for one in mine]
    return found


def _is_of(evaluation: Mapping[str, Any], metric: ProbeMetric, number: float | None) -> bool:
    """Say whether an evaluation is the one whose number the store holds."""
    place = (evaluation.get("split"), evaluation.get("fingerprint"))
    same_clips = place == (metric.facts.split, metric.facts.fingerprint)
    return same_clips and evaluation["metrics"].get(metric.column) == number


def _probe(found: Sequence[tuple[str, Mapping[str, Any]]]) -> Probe:
    """Return how all evaluations were made.

    Raises:
        UserError: One does not say so, or they were not made alike.
    """
    probes = list(dict.fromkeys(_one_probe(*one) for one in found))
    first, *others = (probe.facts() for probe in probes)
    if others:
        unlike = [name for name in first if any(one[name] != first[name] for one in others)]
        raise UserError(f"its runs were not probed alike: they differ in {', '.join(unlike)}")
    return probes[0]


def _one_probe(run: str, evaluation: Mapping[str, Any]) -> Probe:
    train_split, settings = evaluation.get("train_split"), evaluation.get("settings")
    if not train_split or not settings:
        lacking = "settings" if train_split else "train_split"
        raise UserError(f"run {run}: its evaluation has no field '{lacking}'; measure it again")
    if unlike := FIELDS ^ settings.keys():
        fields_unlike = ", ".join(sorted(unlike))
        raise UserError(f"run {run}: its settings are of another version: {fields_unlike}")
    try:
        made = TypeAdapter(ProbeSettings).validate_python(settings)
    except ValidationError as error:
        bad = ", ".join(str(one["loc"][0]) for one in error.errors())
        raise UserError(f"run {run}: its settings cannot be read: {bad}") from error
    made = replace(made, rates=made.grid, resamples=0, map_resamples=0)
    return Probe(made, str(train_split))
