"""Words, times and lines that a launch shows."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tgdp.presets import tiny
from tgdp.sweep.declare import expand
from tgdp.sweep.entry import Entry
from tgdp.sweep.live import LiveTable, PlainLines, open_display, overall, word_of
from tgdp.sweep.plan import make_plan
from tgdp.sweep.progress import follow
from tgdp.sweep.show import clock, plan_table
from tgdp.sweep.show_progress import rows, status_table
from tgdp.sweep.stages import IN_TWO


@pytest.fixture
def plan(toy, tmp_path):
    return make_plan(toy, expand(toy, tiny()), tmp_path)


def followed(plan, folder=Path("nowhere")):
    (runs,) = follow([(plan, "tiny")], folder)
    return runs


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.4, "0:00"), (190, "3:10"), (7325, "2:02:05")]
)
def test_times_are_read_like_a_clock(seconds: float | None, text: str) -> None:
    assert clock(seconds) == text


def working(planned, step: int) -> Entry:
    status = replace(planned.status, state="running", step=step, total_steps=100, loss=1.5)
    return Entry(planned, "running", replace(status, attempt=1), started=(time.monotonic() - 10, 0))


def test_the_overall_line_counts_and_estimates(plan) -> None:
    first, second, third = plan.runs
    done = Entry(first, "over", replace(first.status, state="done"))
    entries = [done, working(second, 50), Entry(third, status=third.status)]
    # 10 s for half of the second, so 10 s for the rest and 20 s for the third, one at a time.
    assert overall(plan, entries, 1) == "1/3 done, 1 running, about 0:30 left"
    assert overall(plan, entries, 2) == "1/3 done, 1 running, about 0:20 left"


def test_a_run_that_waits_has_no_pace(plan) -> None:
    half = replace(working(plan.runs[0], 50), phase="waiting", started=(0.0, 0))
    assert overall(plan, [half], 1) == "0/3 done, 0 running"


def test_a_trained_run_has_no_time_left_and_says_so_while_it_waits(plan) -> None:
    status = replace(plan.runs[0].status, state="trained", step=100, total_steps=100, saved=100)
    trained = Entry(plan.runs[0], status=status)
    working_one = working(plan.runs[1], 50)
    assert overall(plan, [trained, working_one], 1) == "0/3 done, 1 running, about 0:10 left"
    assert word_of(trained) == "trained"
    busy = replace(trained, phase="running", status=replace(status, state="running", attempt=2))
    assert word_of(busy) == "evaluating"
    assert word_of(replace(busy, former_attempt=2)) == "starting"
    assert word_of(replace(busy, stage=IN_TWO.train)) == "running"  # it saves
    done = replace(busy.status, state="done")
    assert word_of(replace(busy, stage=IN_TWO.evaluate, status=done)) == "evaluating"
    assert word_of(replace(busy, stage=IN_TWO.probe, status=done)) == "probing"
    over = replace(busy, phase="over", status=done)
    assert [word_of(over), word_of(replace(over, error="no labels"))] == ["done", "probe failed"]


def test_runs_that_are_here_for_their_probes_are_not_counted_twice(plan) -> None:
    done = replace(plan.runs[0].status, state="done", step=100, total_steps=100, saved=100)
    runs = tuple(replace(run, status=done) for run in plan.runs)
    entries = [
        Entry(runs[0], "over", done),
        Entry(runs[1], "running", done),
        Entry(runs[2], "waiting", done),
    ]
    line = "3/3 done, 1 running, 2 to be probed"
    assert overall(replace(plan, runs=runs), entries, 1) == line


def test_a_failed_run_is_counted_as_failed(plan) -> None:
    first = plan.runs[0]
    entries = [Entry(first, "over", replace(first.status, state="failed"), "no")]
    assert overall(plan, entries, 1).startswith("0/3 done, 0 running, 1 failed")


def test_without_a_terminal_a_line_is_printed_a_change(plan) -> None:
    console = Console(file=io.StringIO(), width=40)
    display = open_display(console, plan, 1)
    assert isinstance(display, PlainLines)
    entry = Entry(plan.runs[0], status=plan.runs[0].status)
    with display:
        display.update([entry])
        entry = working(plan.runs[0], 3)
        display.update([entry])
        display.update([entry])
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 1
    assert "0.0 seed 0: running, step 3/100, loss 1.500" in lines[0]


def test_in_a_terminal_a_table_is_drawn(plan) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    display = open_display(console, plan, 2)
    assert isinstance(display, LiveTable)
    with display:
        display.update([Entry(planned, "running", planned.status) for planned in plan.runs])
        display.update([])
    assert "0/3 done" in console.file.getvalue()


def test_a_label_with_brackets_is_text(toy, tmp_path) -> None:
    rows = (replace(toy.variants[0], label="[red]0[/]"),)
    plan = make_plan(
        replace(toy, variants=rows), expand(replace(toy, variants=rows), tiny()), tmp_path
    )
    console = Console(file=io.StringIO(), width=120)
    console.print(plan_table(plan), status_table(plan.sweep, followed(plan)))
    assert console.file.getvalue().count("[red]0[/]") == 2


def test_a_narrow_terminal_never_cuts_the_name_of_a_run(plan) -> None:
    failed = replace(plan.runs[0].status, state="failed", error="word " * 30)
    runs = (replace(plan.runs[0], status=failed), *plan.runs[1:])
    console = Console(file=io.StringIO(), width=80)
    console.print(status_table(plan.sweep, followed(replace(plan, runs=runs))))
    assert all(run.cell.signature in console.file.getvalue() for run in plan.runs)


def test_status_as_data_names_run_and_directory(plan) -> None:
    found = rows(plan.sweep, followed(plan))
    assert [row["row"] for row in found] == ["0.0", "0.25", "0.65"]
    assert all(row["directory"].endswith(row["run"]) for row in found)
