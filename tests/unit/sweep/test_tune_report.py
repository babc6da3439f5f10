"""What a study leaves: a table of trials, figures that say what was found, runs in the store."""

import csv
from pathlib import Path

import pytest

from analysis import study_figures
from tests.drawn_text import text_boxes
from tests.study_runs import (
    RATIO,
    RETRIEVAL,
    constrained,
    gridded,
    study,
    task_of,
    work_through,
    write_run,
)
from tgdp.report.study import StudyReport, draw, look, sync, write_tables
from tgdp.sweep import track
from tgdp.sweep.tune.declare import Study
from tgdp.sweep.tune.measure import Measured
from tgdp.sweep.tune.opening import open_book


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> StudyReport:
    return _report(constrained(), tmp_path_factory.mktemp("several"), 16)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> StudyReport:
    return _report(study(), tmp_path_factory.mktemp("alone"), 16)


def _report(declared: Study, results: Path, number: int) -> StudyReport:
    task = task_of(declared, results)
    return look(task, work_through(task, number))


def drawn(figure) -> list[str]:
    return [text for text, _ in text_boxes(figure)]


def test_the_table_has_every_trial(several: StudyReport) -> None:
    file, page = write_tables(several)
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["trial"] for row in rows] == [f"t{n:03}" for n in range(17)]
    states = [row["state"] for row in rows]
    assert (states.count("pruned"), states.count("failed")) == (1, 1)
    assert "infeasible" in states
    assert rows[16]["imported"] == "True"
    assert all(row["breaks"] == "hours <= 1" for row in rows if row["state"] == "infeasible")
    best = [row for row in rows if row["best"] == "True"]
    assert len(best) == len(several.best) > 1
    # Nothing on the front is beaten in both objectives.
    pairs = [(float(row["retrieval"]), float(row["hours"])) for row in best]
    assert sorted(pairs) == sorted(pairs, key=lambda pair: pair[1])

    text = page.read_text()
    assert "## Pareto front" in text
    assert r"a \| b" not in text.partition("## All trials")[0]
    assert "contrastive.mask.ratio" in text.partition("## Importances")[2]


def test_the_front_shows_every_kind_of_trial(several: StudyReport) -> None:
    with study_figures.styled():
        words = drawn(study_figures.front(several))
    assert {"trial", "imported", "infeasible", "Pareto front"} <= set(words)
    assert {"hours", "mean R@1 (%)"} <= set(words)
    assert any("15 trials with values, 1 pruned" in word for word in words)


def test_names_on_the_front_are_not_written_over_each_other(several: StudyReport) -> None:
    with study_figures.styled():
        boxes = text_boxes(study_figures.front(several))
    names = [box for text, box in boxes if text.startswith("t0")]
    assert names
    for place, box in enumerate(names):
        assert not any(box.overlaps(other) for other in names[:place])


def test_the_history_only_rises(alone: StudyReport) -> None:
    figure = study_figures.history(alone)
    (axes,) = figure.axes
    (line,) = axes.get_lines()
    heights = list(line.get_ydata())
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(100 * max(t.values[0] for t in alone.finished))


def test_importances_are_of_each_objective_and_add_up(several: StudyReport) -> None:
    shares = several.importances.shares
    assert set(shares) == {"retrieval", "hours"}
    assert all(sum(found.values()) == pytest.approx(1) for found in shares.values())
    # Made-up hours are ruled by the ratio.
    assert next(iter(shares["hours"])) == RATIO
    words = drawn(study_figures.importances(several))
    assert {"for retrieval", "for hours", "mask.ratio"} <= set(words)


def test_a_panel_for_each_key(several: StudyReport) -> None:
    figure = study_figures.slices(several)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["mask.ratio", "contrastive.temperature"]
    assert shown[1].get_xscale() == "log"
    words = drawn(study_figures.slices(_with_choices(several)))
    assert {"0", "0.5", "0.05", "0.1"} <= set(words)


def _with_choices(several: StudyReport) -> StudyReport:
    results = several.task.results / "choices"
    return _report(gridded(objectives=(RETRIEVAL,)), results, 6)


def test_figures_are_png_and_pdf_and_always_the_same(alone: StudyReport) -> None:
    names = sorted(path.name for path in draw(alone))
    stem = alone.task.name
    kinds = ("history", "importances", "slices")
    assert names == sorted(f"{stem}-{kind}.{end}" for kind in kinds for end in ("png", "pdf"))
    before = {path: path.read_bytes() for path in draw(alone)}
    assert {path: path.read_bytes() for path in draw(alone)} == before


def test_too_few_trials_say_so_instead_of_a_figure(tmp_path: Path) -> None:
    report = _report(study(), tmp_path, 5)
    assert report.importances.shares == {}
    assert report.importances.notes == (
        "Importances: 4 trials with values are too few, 10 are needed.",
    )
    assert not [path for path in draw(report) if "importances" in path.name]


def test_runs_are_in_the_store_under_the_names_of_their_trials(results: Path) -> None:
    task = task_of(study(), results)
    book = open_book(task)
    trial = book.ask()
    run = write_run(task, dict(trial.point), curve=(0.1,))
    book.note(trial.number, "run", run.name)
    book.complete(trial.number, Measured((0.2,), {}))
    report = look(task, book)
    for _ in range(2):  # Again changes nothing.
        sync(report, write_tables(report))
    known = track.read(results)
    assert known.runs[run.name].tags[f"tgdp.sweep.{task.name}"] == "t000"
    (summary,) = known.summaries
    assert summary.sweep == task.name
    assert summary.metrics["best/retrieval"] == pytest.approx(0.2)
    assert "## Best trial" in summary.tags["mlflow.note.content"]
