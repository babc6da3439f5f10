"""An evaluation class by class: which are found, which are told apart, as a table and a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tgdp.errors import UserError, unknown_name
from tgdp.evaluation.record import slug
from tgdp.report import figures, pictures
from tgdp.report.probes import MODALITIES
from tgdp.training.run_directory import RunDirectory

DRAWN = (("a2v/r1", "v2a/r1"), ("top1",), ("ap",))
"""What is drawn of an evaluation: the first of these that its classes have."""

WORDS = {"a2v/r1": "A→V R@1", "v2a/r1": "V→A R@1", "top1": "Top-1", "ap": "average precision"}


@dataclass(frozen=True)
class ByClass:
    """What is drawn.

    Attributes:
        run: Signature of the run.
        words: What was measured, on what, with which weights.
        frame: A line a class: `mid`, `name`, `n` (clips of the class), then its figures, fractions;
            best first.
        shown: Names of the figures that are drawn -> what they are called.
        chance: What guessing gets, as a fraction; None where there is no such number.
    """

    run: str
    words: str
    frame: pd.DataFrame
    shown: Mapping[str, str]
    chance: float | None


def write(run: RunDirectory, protocol: str | None = None) -> list[Path]:
    """Write a CSV and a picture of each evaluation of a run that knows its classes.

    Args:
        run: The run.
        protocol: Only evaluations of this one, as `probe-linear/v1` or `retrieval`; all if None.

    Returns:
        The files, in the run's folder of pictures.

    Raises:
        UserError: There is no such evaluation, or a file cannot be written.
    """
    files: list[Path] = []
    for result in _chosen(run, protocol):
        made = by_class(run.name, result)
        stem = run.path / pictures.FOLDER / f"classes-{slug(result)}"
        table, picture = stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.png")
        pictures.write(table, made.frame.to_csv(index=False).encode())
        pictures.write(picture, figures.drawing("classes").draw(made))
        files += [table, picture]
    return files


def by_class(run: str, result: Mapping[str, Any]) -> ByClass:
    """Return the classes of one evaluation, best first.

    Equal ones stand in the order of their clips: what many clips say is worth more.

    Args:
        run: Signature of the run.
        result: The evaluation, with `per_class`.

    Raises:
        UserError: Its classes have no figure that can be drawn.
    """
    frame = pd.DataFrame(result["per_class"])
    shown = next((names for names in DRAWN if set(names) <= set(frame.columns)), ())
    if not shown:
        listed = ", ".join(" and ".join(names) for names in DRAWN)
        raise UserError(
            f"run {run}: the classes of {slug(result)} have none of {listed}; evaluate again"
        )
    order = frame.assign(_mean=frame[list(shown)].mean(axis=1))
    order = order.sort_values(["_mean", "n", "name"], ascending=[False, False, True])
    words = (
        f"{result['protocol']} on {result['dataset']}, split {result['split']}, "
        f"{result['n']} clips{_of_probe(result)}, {result.get('weights', result['which'])}"
    )
    # Of a class with n clips, guessing finds each among all clips, whatever n is.
    chance = 1 / result["n"] if shown == DRAWN[0] else None
    names = {name: WORDS[name] for name in shown}
    return ByClass(run, words, order.drop(columns="_mean"), names, chance)


def _of_probe(result: Mapping[str, Any]) -> str:
    modality = result.get("modality")
    return f", {MODALITIES.get(modality, modality)}" if modality else ""


def _chosen(run: RunDirectory, protocol: str | None) -> Sequence[Mapping[str, Any]]:
    results = run.evaluation_results()
    known = [result for result in results if result.get("per_class")]
    if not known:
        why = "no evaluation of it knows its classes" if results else "it has no evaluations yet"
        raise UserError(
            f"run {run.name}: {why}. Measure one on labelled clips and keep it: "
            f"tgdp-eval retrieval {run.path} --record   or: tgdp-eval probe {run.path} --record"
        )
    if protocol is None:
        return known
    found = [r for r in known if protocol in (r["protocol"], r["protocol"].partition("/")[0])]
    if not found:
        raise unknown_name("--protocol", protocol, sorted({r["protocol"] for r in known}))
    return found
