"""Finished runs that lie in the space of a study: they become its trials, whoever ran them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tgdp.config import flatten
from tgdp.sweep.differences import stored_config
from tgdp.sweep.state import read_state
from tgdp.sweep.tune.book import Book, Trial
from tgdp.sweep.tune.measure import Measured, measure_all
from tgdp.sweep.tune.space import Point, point_of
from tgdp.sweep.tune.task import Task, shape
from tgdp.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Past:
    """A finished run that may become a trial.

    Attributes:
        run: Its signature.
        point: Where it lies in the space.
        measured: What it is worth.
    """

    run: str
    point: Point
    measured: Measured


def importable(task: Task, trials: Sequence[Trial]) -> list[Past]:
    """Return the finished runs that could be trials and are none yet; nothing is written.

    A run is one if its science is the base's in all keys but those of the space. What does not say
    an objective or a constraint is left out.

    Args:
        task: The study.
        trials: All of it so far.
    """
    known = {trial.run for trial in trials}
    wanted = shape(task.study, task.base)
    inside: list[tuple[RunDirectory, Point]] = []
    for run in _candidates(task.results / "runs", task.base.data.fingerprint):
        if run.name in known or read_state(run).state != "done":
            continue
        # A run of another version of the project is of another science.
        config = stored_config(run)
        if config is None or shape(task.study, config) != wanted:
            continue
        point = point_of(task.study, flatten(config))
        if point is not None:
            inside.append((run, point))
    worth = measure_all(task.study, [run for run, _ in inside], task.dataset)
    return [
        Past(run.name, point, measured)
        for (run, point), measured in zip(inside, worth, strict=True)
        if measured is not None
    ]


def bring(book: Book, found: Sequence[Past]) -> None:
    """Add finished runs to a study as trials that are complete."""
    for past in found:
        book.import_run(past.point, past.run, past.measured)


def _candidates(folder: Path, fingerprint: str) -> Iterator[RunDirectory]:
    """Yield finished runs whose configuration names the data, by a look at its text alone."""
    for result in sorted(folder.glob("*/result.json")):
        run = RunDirectory(result.parent)
        try:
            text = run.config_file.read_text(encoding="utf-8")
        except OSError:
            continue
        # To parse a configuration takes twenty times as long as to read it.
        if fingerprint in text:
            yield run
