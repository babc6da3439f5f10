"""The end of a study: its runs into the store, its trials as tables, what they say as figures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.report.figures import drawing
from tgdp.report.notes import LIMIT
from tgdp.report.study_importance import Importances, importances
from tgdp.report.study_table import markdown
from tgdp.sweep import track
from tgdp.sweep.track_summary import Update
from tgdp.sweep.tune.book import Book, Trial
from tgdp.sweep.tune.rows import rows
from tgdp.sweep.tune.task import Task

DRAWING = "study_figures"


@dataclass(frozen=True)
class StudyReport:
    """What a study came to.

    Attributes:
        task: The study.
        trials: Its trials.
        best: Numbers of the best one, or of those on the Pareto front, best first.
        importances: How much each key matters, for each objective.
    """

    task: Task
    trials: tuple[Trial, ...]
    best: tuple[int, ...]
    importances: Importances

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trials that have values."""
        return tuple(trial for trial in self.trials if trial.is_measured)


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        files: Tables and figures.
        notes: What is not there, and why.
    """

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def finish_study(task: Task, book: Book) -> Written:
    """Sync the runs of a study, write its tables and its figures.

    Args:
        task: The study.
        book: Its trials.

    Raises:
        UserError: The store cannot be reached, or a file cannot be written.
    """
    report = look(task, book)
    written = write_tables(report)
    try:
        drawn = draw(report)
    except OSError as error:
        raise UserError(f"{task.results / 'figures'}: cannot write ({error.strerror})") from error
    files = (*written, *drawn)
    sync(report, files)
    return Written(files, report.importances.notes)


def look(task: Task, book: Book) -> StudyReport:
    """Return what a study came to; nothing is written."""
    trials = tuple(book.trials())
    return StudyReport(task, trials, tuple(book.best()), importances(task, book))


def sync(report: StudyReport, files: Sequence[Path] = ()) -> None:
    """Bring the runs of a study into the store, each with the name of its trial.

    Args:
        report: What the study came to.
        files: Tables and figures, which its summary run keeps.
    """
    named = [trial for trial in report.trials if trial.run]
    task = report.task
    cells = [task.cell(trial.number, trial.point) for trial in named]
    if not cells:
        return
    # Under its whole name: another study may have the same one, and rows called t000 as well.
    sweep = replace(task.sweep(cells), name=task.name)
    base = track.sync_sweep(task.results, sweep, cells, task.words).base
    found = track.read(task.results).summaries
    summary = next(one for one in found if (one.sweep, one.base) == (task.name, base))
    note = page(report)[:LIMIT]
    track.publish(task.results, [Update(summary, numbers(report), files, note)], {})


def numbers(report: StudyReport) -> dict[str, float]:
    """Return a study as metrics of its summary run: how many trials, and its best values."""
    found = {"trials": float(len(report.trials)), "trials_measured": float(len(report.finished))}
    best = [report.trials[number] for number in report.best]
    for place, objective in enumerate(report.task.study.objectives):
        reached = [trial.value(place) for trial in best]
        if reached:
            pick = max if objective.direction == "maximize" else min
            name = objective.quantity.format(dataset=report.task.dataset)
            found[f"best/{name}"] = pick(reached)
    return found


def page(report: StudyReport) -> str:
    """Return a study in Markdown."""
    return markdown(report.task, report.trials, report.best, report.importances)


def write_tables(report: StudyReport) -> tuple[Path, ...]:
    """Write all trials as CSV and Markdown, and return the files."""
    folder, name = report.task.results / "tables", report.task.name
    texts = {
        f"{name}.csv": pd.DataFrame(flat(report)).to_csv(index=False),
        f"{name}.md": page(report),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            write_whole(folder / file, text)
    except OSError as error:
        raise UserError(f"{folder}: cannot write ({error.strerror})") from error
    return tuple(folder / file for file in texts)


def flat(report: StudyReport) -> list[dict[str, Any]]:
    """Return a line a trial: what it is called, where it lies, what it came to."""
    found: list[dict[str, Any]] = []
    for row in rows(report.task, report.trials, report.best):
        point, values, excess = row.pop("params"), row.pop("values"), row.pop("excess")
        broken = "; ".join(name for name, by in excess.items() if by > 0)
        del row["directory"]
        found.append({**row, **values, **point, "breaks": broken})
    return found


def draw(report: StudyReport) -> Sequence[Path]:
    """Write the figures of a study and return their files."""
    found = drawing(DRAWING)
    if found is None or not report.finished:
        return ()
    return found.draw(report, report.task.results / "figures", report.task.name)
