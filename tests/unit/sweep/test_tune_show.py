"""What a study shows while it works: a row for each trial in work, a line for each that ended."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from rich.console import Console

from tests.study_runs import RATIO, TEMPERATURE, constrained, task_of, work_through, write_run
from tgdp.cli.sweep_tune_run import _report
from tgdp.cli.sweep_tune_show import ended
from tgdp.sweep.tune.book import Book, Trial
from tgdp.sweep.tune.live import Live
from tgdp.sweep.tune.opening import open_book
from tgdp.sweep.tune.show import LEAVES, Lines, LiveTable, open_display
from tgdp.sweep.tune.task import Task
from tgdp.sweep.tune.workers import Work

POINT = {RATIO: 0.25, TEMPERATURE: 0.1}


def running(task: Task, **fields) -> Live:
    write_run(task, POINT, "running", curve=(0.1, 0.2))
    planned = task.planned(task.cell(7, POINT))
    work = Work("running", replace(planned.status, state="running"))
    return Live(Trial(7, "running", POINT), planned, work, 0.2, **fields)


def display(task: Task, book: Book, terminal: bool) -> tuple[Lines, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120, color_system=None)
    return open_display(console, task, book, 10, goes_on=True), text


def test_where_there_is_no_terminal_each_change_is_a_line(tmp_path: Path) -> None:
    task = task_of(constrained(), tmp_path)
    book = work_through(task, 6)
    live = running(task)
    shown, text = display(task, book, terminal=False)
    with shown:
        for _ in range(3):
            shown.update([live], stopping=False)
        live.is_pruned = True
        shown.update([live], stopping=False)
        for trial in book.trials()[3:5]:
            shown.told(trial)
        shown.update([live], stopping=True)
        shown.update([live], stopping=True)
    lines = [line.partition(" ")[2] for line in text.getvalue().splitlines()]
    name = live.planned.run.name
    assert lines[:2] == [f"t007 ({name}): running", f"t007 ({name}): pruning"]
    assert lines[2].startswith("t003: pruned after epoch 1, mask.ratio")
    assert lines[3] == "t004: failed: ValueError: a | b"
    assert text.getvalue().splitlines()[4:] == [LEAVES]


def test_a_broken_limit_is_said_with_the_values(tmp_path: Path) -> None:
    task = task_of(constrained(), tmp_path)
    shown, text = display(task, open_book(task), terminal=False)
    shown.told(Trial(2, "infeasible", POINT, (0.25, 1.5), excess={"hours <= 1": 0.5}))
    assert "t002: infeasible, retrieval 25.0 %, hours 1.5 h, breaks hours <= 1," in text.getvalue()


def test_in_a_terminal_there_is_a_row_for_each_trial_and_a_line_for_all(tmp_path: Path) -> None:
    task = task_of(constrained(), tmp_path)
    book = work_through(task, 6)
    shown, text = display(task, book, terminal=True)
    assert isinstance(shown, LiveTable)
    with shown:
        shown.update([running(task)], stopping=False)
        console = Console(file=text, width=120)
        console.print(shown._draw())
    (row,) = [line for line in text.getvalue().splitlines() if line.strip().startswith("t007")]
    # 8 of 32 steps, R@1 of 0.2.
    assert row.split()[2:5] == ["running", "25", "%"]
    assert row.split()[5] == "20.0"
    assert "mask.ratio 0.25, contrastive.temperature 0.1" in row
    best = book.trials()[book.best()[0]]
    assert f"of 10 trials told, 1 in work, best retrieval {100 * best.values[0]:.1f} %" in (
        text.getvalue()
    )


def test_a_trial_that_failed_is_named_by_what_no_other_study_has(tmp_path: Path) -> None:
    task = task_of(constrained(), tmp_path)
    book = work_through(task, 6)
    (line,) = ended(task, book)
    run = book.trials()[4].run
    assert line.startswith("t004 failed: ValueError: a | b (tgdp-sweep logs ")
    assert f"(tgdp-sweep logs {run} --results {tmp_path})" in line


def test_what_comes_next_names_the_best_run_by_its_signature(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "tgdp.report.study.finish_study", lambda task, book: SimpleNamespace(notes=(), files=())
    )
    task = task_of(constrained(), tmp_path)
    book = work_through(task, 6)
    text = io.StringIO()
    _report(Console(file=text, width=200), task, book)
    run = book.trials()[book.best()[0]].run
    assert f"  tgdp-sweep logs {run} --results {tmp_path}\n" in text.getvalue()
    assert "@0" not in text.getvalue()
