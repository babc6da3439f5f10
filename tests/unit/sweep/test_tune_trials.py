"""Trials and runs: signatures, what a run is worth, runs of the past, the storage."""

import json
from pathlib import Path

import pytest

from tests.fake_scheduler import accounted, open_scheduler
from tests.study_runs import (
    RATIO,
    TEMPERATURE,
    constrained,
    gridded,
    study,
    task_of,
    worth,
    write_run,
)
from tgdp.config import override, signature
from tgdp.errors import UserError
from tgdp.sweep.slurm.jobs import JobRecord, append
from tgdp.sweep.tune.declare import Choice, Constraint, Objective, Study
from tgdp.sweep.tune.measure import Measured, measure
from tgdp.sweep.tune.opening import open_book
from tgdp.sweep.tune.past import bring, importable
from tgdp.sweep.tune.sampler import next_of_grid
from tgdp.sweep.tune.space import grid
from tgdp.sweep.tune.storage import journal_file, open_study, place, read_study

POINT = {RATIO: 0.25, TEMPERATURE: 0.1}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def costly(**fields) -> Study:
    """Return a study that asks for GPU-hours twice."""
    limits = (Constraint("gpu_hours", upper=1.0),)
    return study(objectives=(Objective("gpu_hours", "minimize"),), constraints=limits, **fields)


def test_a_trial_is_the_run_of_its_configuration(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    cell = task.cell(7, POINT)
    assert (cell.variant.label, cell.seed) == ("t007", 0)
    assert cell.signature == signature(override(task.base, POINT))
    assert task.cell(8, POINT).signature == cell.signature


def test_a_point_that_the_configuration_refuses_says_why(tmp_path: Path) -> None:
    guided = Choice("contrastive.mask.selection", ("guided",))
    with pytest.raises(UserError, match=r"study 'toy', t000: .*needs teacher.enabled"):
        task_of(study(space=(guided,)), tmp_path).cell(0, {guided.key: "guided"})


def test_quantities_are_read_from_the_run(tmp_path: Path) -> None:
    named = Objective("retrieval/{dataset}/v2a/r1", "maximize")
    limits = (Constraint("hours", upper=1.5), Constraint("peak_memory_gib", lower=4.0))
    declared = study(objectives=(Objective("retrieval", "maximize"), named), constraints=limits)
    task = task_of(declared, tmp_path)
    run = write_run(task, POINT, r1=0.3, curve=(0.1, 0.2), seconds=7200.0)
    found = measure(declared, run, task.dataset)
    assert found.values == pytest.approx((0.3, 0.4))
    # Memory is that of the whole run: 3 GiB, at its end.
    assert found.excess == pytest.approx({"hours <= 1.5": 0.5, "peak_memory_gib >= 4": 1.0})


def test_what_a_run_does_not_say_is_refused_with_what_it_does(tmp_path: Path) -> None:
    task = task_of(study(objectives=(Objective("gpu_hours", "minimize"),)), tmp_path)
    run = write_run(task, POINT)
    with pytest.raises(UserError, match="saw no GPU; take 'hours'"):
        measure(task.study, run, task.dataset)
    run.environment_file.write_text(json.dumps({"gpus": ["H100", "H100"]}))
    assert measure(task.study, run, task.dataset).values == pytest.approx((2 / 60,))
    later = study(objectives=(Objective("retrieval/{dataset}/a2v/r5", "maximize"),))
    with pytest.raises(UserError, match=r"has no 'retrieval/toy/a2v/r5'. Valid: retrieval, .*r1"):
        measure(later, run, task.dataset)


def test_the_scheduler_is_asked_once_for_all_that_is_asked_of_a_run(tmp_path, fake) -> None:
    task = task_of(costly(), tmp_path)
    run = write_run(task, POINT)
    append(run, JobRecord("7", None, "train", "own", 0.0, "me", "folder", "log"))
    fake.accounts(accounted("7", ElapsedRaw="7200", AllocTRES="gres/gpu=2"))
    assert measure(task.study, run, task.dataset) == Measured((4.0,), {"gpu_hours <= 1": 3.0})
    assert (len(fake.calls("squeue")), len(fake.calls("sacct"))) == (1, 1)
    measure(study(), run, task.dataset)
    assert len(fake.calls("squeue")) == 1


def test_the_scheduler_is_asked_once_for_all_runs_that_may_be_imported(tmp_path, fake) -> None:
    task = task_of(costly(), tmp_path)
    for index, ratio in enumerate((0.0, 0.25, 0.5)):
        run = write_run(task, {RATIO: ratio, TEMPERATURE: 0.1})
        append(run, JobRecord(f"7_{index}", "7", "train", "own", 0.0, "me", "folder", "log"))
    using = {"ElapsedRaw": "3600", "AllocTRES": "gres/gpu=2"}
    # The third had no GPU, and cannot say what is asked for.
    fake.accounts(accounted("7_0", **using), accounted("7_1", **using), accounted("7_2"))
    found = importable(task, ())
    assert sorted(past.point[RATIO] for past in found) == [0.0, 0.25]
    assert [past.measured.values for past in found] == [(2.0,), (2.0,)]
    assert (len(fake.calls("squeue")), len(fake.calls("sacct"))) == (1, 1)


def test_infeasible_trials_are_neither_best_nor_on_the_front(tmp_path: Path) -> None:
    task = task_of(constrained(), tmp_path)
    book = open_book(task)
    for r1, hours in ((0.9, 2.0), (0.2, 0.5), (0.1, 0.6), (0.1, 0.4)):
        number = book.ask().number
        book.complete(number, Measured((r1, hours), {"hours <= 1": hours - 1.0}))
    states = [trial.state for trial in book.trials()]
    assert states == ["infeasible", "complete", "complete", "complete"]
    assert book.best() == [1, 3]
    # Read back by another command, they are the same.
    assert open_book(task).trials() == book.trials()


@pytest.mark.parametrize("declared", [study(), constrained()], ids=["one", "several"])
def test_the_sampler_goes_on_with_pruned_trials(tmp_path: Path, declared: Study) -> None:
    task = task_of(declared, tmp_path)
    book = open_book(task)
    # After ten of them points are no longer drawn by chance.
    for index in range(12):
        trial = book.ask()
        values = worth(trial.point)[: len(declared.objectives)]
        if index < 3:
            book.prune(trial.number, {1: 0.01 * index, 2: 0.02})
        else:
            book.complete(trial.number, Measured(values, {}))
    assert book.ask().point.keys() == set(declared.keys)
    assert [trial.values for trial in book.trials()[:3]] == [()] * 3


def test_trials_that_are_refused_or_imported_do_not_count(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    book = open_book(task)
    book.refuse(book.ask().number, "no such point")
    book.fail(book.ask().number, "it broke")
    book.prune(book.ask().number, {1: 0.1, 2: 0.2})
    book.import_run(POINT, "abc", Measured((0.5,), {}))
    trials = book.trials()
    assert [trial.state for trial in trials] == ["refused", "failed", "pruned", "complete"]
    assert [trial.counts for trial in trials] == [False, True, True, False]
    assert [trial.error for trial in trials[:2]] == ["no such point", "it broke"]


def test_finished_runs_in_the_space_are_imported_once(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    inside = write_run(task, POINT, r1=0.4)
    write_run(task, {RATIO: 0.3, TEMPERATURE: 0.1})  # between the steps
    write_run(task, {RATIO: 0.25, TEMPERATURE: 0.5})  # out of the range
    write_run(task, {RATIO: 0.0, TEMPERATURE: 0.1}, "failed")
    write_run(task_of(study(), tmp_path, "training.warmup=0.2"), POINT)
    write_run(task_of(study(), tmp_path, seed=1), POINT)
    (tmp_path / "runs" / "odd").mkdir()
    (tmp_path / "runs" / "odd" / "result.json").write_text("{}")
    (tmp_path / "runs" / "odd" / "config.yaml").write_text("0123456789abcdef: [")

    found = importable(task, ())
    assert [(past.run, dict(past.point)) for past in found] == [(inside.name, POINT)]
    book = open_book(task)
    bring(book, found)
    (trial,) = book.trials()
    assert (trial.imported, trial.run, trial.point) == (True, inside.name, POINT)
    assert trial.values == pytest.approx((0.4,))
    assert importable(task, book.trials()) == []


def test_a_run_that_does_not_say_an_objective_is_not_imported(tmp_path: Path) -> None:
    task = task_of(study(objectives=(Objective("gpu_hours", "minimize"),)), tmp_path)
    write_run(task, POINT)
    assert importable(task, ()) == []


def test_the_grid_leaves_out_what_is_there(tmp_path: Path) -> None:
    task = task_of(gridded(), tmp_path)
    book = open_book(task)
    points = list(grid(task.study))
    book.import_run(points[1], "abc", Measured((0.5,), {}))
    asked = []
    while (point := next_of_grid(task.study, book.trials())) is not None:
        asked.append(dict(book.ask(point).point))
    assert asked == [points[0], points[2], points[3]]


def test_a_point_written_down_by_a_killed_command_is_not_asked_for_twice(tmp_path: Path) -> None:
    task = task_of(gridded(), tmp_path)
    point = next(grid(task.study))
    open_study(task, None, None).study.enqueue_trial(dict(point))  # type: ignore[arg-type]
    book = open_book(task)
    assert [trial.state for trial in book.trials()] == ["waiting"]
    while (one := next_of_grid(task.study, book.trials())) is not None:
        book.ask(one)
    assert len(book.trials()) == 4


def test_a_study_that_goes_on_does_not_draw_its_first_points_again(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    first, again, third = (dict(open_book(task).ask().point) for _ in range(3))
    assert first != again != third != first


def test_a_journal_with_a_torn_last_line_is_mended(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    open_book(task).ask()
    with journal_file(task).open("a") as file:
        file.write('{"op_code": 4, "work')
    book = open_book(task)
    book.ask()
    book.ask()
    assert len(open_book(task).trials()) == 3


def test_what_was_half_asked_when_the_command_was_killed_is_dropped(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    open_study(task, None, None).study.ask()  # type: ignore[arg-type]
    book = open_book(task)
    book.drop_half_asked()
    (trial,) = book.trials()
    assert (trial.state, trial.counts) == ("refused", False)


def test_looking_writes_nothing(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    assert read_study(task, None) is None
    assert read_study(task, f"sqlite:///{tmp_path}/study.db") is None
    assert not (tmp_path / "studies").exists()
    assert not (tmp_path / "study.db").exists()
    open_book(task).ask()
    before = journal_file(task).read_bytes()
    assert read_study(task, None) is not None
    assert journal_file(task).read_bytes() == before


def test_a_database_keeps_a_study_as_a_journal_does(tmp_path: Path) -> None:
    task, url = task_of(constrained(), tmp_path), f"sqlite:///{tmp_path}/study.db"
    from tgdp.sweep.tune.book import Book

    kept = open_study(task, url, None)  # type: ignore[arg-type]
    book = Book(task.study, kept)
    book.complete(book.ask().number, Measured((0.3, 0.5), {"hours <= 1": -0.5}))
    found = read_study(task, url)
    assert found is not None
    assert Book(task.study, found).trials() == book.trials()
    for one in (kept, found):
        one.storage.remove_session()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg2://me:secret@host/db", r"driver is missing .*psycopg2"),
        ("study.db", "expected a URL"),
        ("nosuch://host/db", "cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_named(tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        read_study(task_of(study(), tmp_path), url)
    assert "secret" not in str(raised.value)
    assert "secret" not in place(task_of(study(), tmp_path), url)
