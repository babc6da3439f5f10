"""The loop of a study over made-up workers: what is asked, pruned, told and taken up again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study_runs import (
    RATIO,
    TEMPERATURE,
    constrained,
    gridded,
    study,
    task_of,
    write_run,
)
from tgdp.errors import UserError
from tgdp.sweep import records
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.stop import StopRequest
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.declare import Choice, Objective
from tgdp.sweep.tune.driver import MOST_REFUSED, Driver
from tgdp.sweep.tune.live import Live, Wish
from tgdp.sweep.tune.lock import hold_study
from tgdp.sweep.tune.opening import open_book
from tgdp.sweep.tune.prune import prepare, would_prune
from tgdp.sweep.tune.task import Task
from tgdp.sweep.tune.workers import Work

Do = Callable[[Task, PlannedRun], Work | None]
"""What becomes of a run at a turn; None where it goes on."""

GOOD = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
BAD = (0.01, 0.02, 0.02)


class MadeUp:
    """Workers that write into run directories what a test tells them to."""

    goes_on, pause_s = False, 0.0

    def __init__(self, task: Task, do: Do, at_once: int = 1) -> None:
        self.stop = StopRequest()
        self.at_once = at_once
        self.added: list[str] = []
        self.ended: list[str] = []
        self._task, self._do = task, do
        self._runs: dict[str, PlannedRun] = {}
        self._work: dict[str, Work] = {}

    def add(self, planned: PlannedRun) -> None:
        """Take note of a run."""
        self.added.append(planned.cell.signature)
        self._runs[planned.cell.signature] = planned
        self._work[planned.cell.signature] = Work("running", planned.status)

    def turn(self) -> bool:
        """Let the test write."""
        for name, planned in self._runs.items():
            if self._work[name].phase == "running":
                done = self._do(self._task, planned)
                self._work[name] = done or Work("running", planned.run.status())
        return False

    def look(self, signature: str) -> Work:
        """Return what it wrote."""
        return self._work[signature]

    def end(self, signature: str) -> None:
        """Stop a run."""
        self.ended.append(signature)
        planned = self._runs[signature]
        status = replace(planned.run.status(), state="interrupted")
        self._work[signature] = Work("over", status, "stopped on request")

    def kill(self) -> None:
        """Do nothing."""


class Seen:
    """Notes what it is shown."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def told(self, trial: Trial) -> None:
        """Take note of an ending."""
        self.words.append(f"{trial.label} {trial.state}")

    def update(self, live: Sequence[Live], stopping: bool) -> None:
        """Take no note."""


def ends(r1: float = 0.3) -> Do:
    def do(task: Task, planned: PlannedRun) -> Work:
        run = write_run(task, dict(planned.cell.variant.changes), r1=r1, curve=GOOD)
        return Work("over", run.status())

    return do


def breaks(error: str) -> Do:
    def do(task: Task, planned: PlannedRun) -> Work:
        point = dict(planned.cell.variant.changes)
        run = write_run(task, point, "failed", error=f"{error} {point[RATIO]}")
        return Work("over", run.status(), run.status().error)

    return do


def driver(task: Task, do: Do, trials: int | None, **fields) -> tuple[Driver, MadeUp, Seen]:
    workers, seen = MadeUp(task, do, fields.pop("at_once", 1)), Seen()
    return Driver(task, open_book(task), workers, Wish(trials, **fields), seen), workers, seen


def test_a_study_asks_until_it_has_its_trials_and_then_never_again(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    loop, workers, seen = driver(task, ends(), 3, at_once=2)
    assert loop.run().reason == "all told"
    assert sorted(seen.words) == ["t000 complete", "t001 complete", "t002 complete"]
    names = [record.name for record in records.read(tmp_path, "toy")]
    assert names == ["toy/t000@0", "toy/t001@0", "toy/t002@0"]
    assert [trial.run for trial in open_book(task).trials()] == workers.added

    again, idle, _ = driver(task, ends(), 3)
    assert (again.run().reason, idle.added) == ("all told", [])
    more, busy, _ = driver(task, ends(), 4)
    assert more.run().reason == "all told"
    assert len(busy.added) == 1


def test_a_run_that_is_done_is_told_without_a_job(tmp_path: Path) -> None:
    task = task_of(gridded(), tmp_path)
    write_run(task, {RATIO: 0.0, TEMPERATURE: 0.05}, r1=0.9)
    loop, workers, _ = driver(task, ends(), None, sampler="grid")
    assert loop.run().reason == "all told"
    trials = open_book(task).trials()
    assert len(trials) == 4
    assert len(workers.added) == 3
    assert trials[0].values == pytest.approx((0.9,))
    assert task.study.keys == tuple(trials[0].point)


def test_a_grid_ends_where_fewer_are_asked_for(tmp_path: Path) -> None:
    task = task_of(gridded(), tmp_path)
    loop, workers, _ = driver(task, ends(), 2, sampler="grid")
    loop.run()
    assert len(workers.added) == 2


def test_refused_points_cost_no_job_and_do_not_count(tmp_path: Path) -> None:
    # The teacher is off in `tiny`, so that only random selection is accepted.
    choice = Choice("contrastive.mask.selection", ("random", "guided"))
    space = (choice, Choice(TEMPERATURE, (0.05, 0.1)))
    task = task_of(study(space=space), tmp_path)
    loop, workers, _ = driver(task, ends(), None, sampler="grid")
    assert loop.run().reason == "all told"
    trials = open_book(task).trials()
    assert [trial.state for trial in trials] == ["complete"] * 2 + ["refused"] * 2
    assert "needs teacher.enabled" in trials[2].error
    assert len(workers.added) == 2


def test_a_space_of_refused_points_is_given_up(tmp_path: Path) -> None:
    space = (Choice("contrastive.mask.selection", ("guided", "sampled")),)
    task = task_of(study(space=space), tmp_path)
    loop, workers, _ = driver(task, ends(), 5)
    ending = loop.run()
    assert ending.reason == "given up"
    assert f"refused {MOST_REFUSED} points in a row" in ending.words
    assert workers.added == []


def test_after_three_failures_alike_nothing_more_is_asked(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    loop, workers, seen = driver(task, breaks("ValueError: no room for ratio"), 10)
    ending = loop.run()
    assert ending.reason == "given up"
    assert "3 trials in a row failed with the same error: ValueError" in ending.words
    assert [word.split()[1] for word in seen.words] == ["failed"] * 3
    assert "no room for ratio" in open_book(task).trials()[0].error
    assert len(workers.added) == 3


@pytest.mark.parametrize(
    ("state", "words"),
    [("new", "its job ended before tgdp began"), ("interrupted", "its run was left interrupted")],
)
def test_a_run_that_ended_without_a_word_is_said_to(tmp_path: Path, state, words: str) -> None:
    task = task_of(study(), tmp_path)
    loop, _, _ = driver(task, lambda _, run: Work("over", replace(run.status, state=state)), 1)
    loop.run()
    assert open_book(task).trials()[0].error == words


def test_failures_in_between_stop_nothing(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    calls: list[int] = []

    def do(task: Task, planned: PlannedRun) -> Work:
        calls.append(1)
        turn = ends() if len(calls) == 3 else breaks("ValueError")
        return turn(task, planned) or Work("over", planned.status)

    loop, _, seen = driver(task, do, 5)
    assert loop.run().reason == "all told"
    assert [word.split()[1] for word in seen.words].count("failed") == 4


def test_trials_of_a_driver_that_is_gone_are_taken_up(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    book = open_book(task)
    done, cut_off, pruned, failed = (dict(book.ask().point) for _ in range(4))
    write_run(task, done, r1=0.8)
    write_run(task, cut_off, "interrupted", curve=BAD)
    write_run(task, pruned, "interrupted", curve=BAD)
    write_run(task, failed, "failed", error="ValueError")
    book.note(2, "pruning", 12)

    loop, workers, _ = driver(task, ends(), 4)
    assert loop.run().reason == "all told"
    trials = open_book(task).trials()
    assert [trial.state for trial in trials] == ["complete", "complete", "pruned", "failed"]
    assert trials[0].values == pytest.approx((0.8,))
    names = [task.cell(0, point).signature for point in (cut_off, pruned)]
    assert workers.added == names
    assert workers.ended == names[1:]


@pytest.mark.parametrize("several", [False, True])
def test_what_falls_behind_is_pruned_and_what_does_not_is_left(
    tmp_path: Path, several: bool
) -> None:
    declared = constrained() if several else study()
    task, _ = prepare(task_of(declared, tmp_path))
    book = open_book(task)
    for _ in range(4):
        trial = book.ask()
        write_run(task, dict(trial.point), curve=GOOD)
    slow, level = book.ask(), book.ask()

    def do(task: Task, planned: PlannedRun) -> Work | None:
        point, name = dict(planned.cell.variant.changes), planned.cell.variant.label
        if name == level.label and planned.run.path.exists():
            return ends()(task, planned)
        write_run(task, point, "running", curve=BAD if name == slow.label else GOOD[:3])
        return None

    loop, workers, _ = driver(task, do, 6, prune=True, at_once=2)
    assert loop.run().reason == "all told"
    states = [trial.state for trial in open_book(task).trials()]
    assert states == ["complete"] * 4 + ["pruned", "complete"]
    assert workers.ended == [task.cell(0, slow.point).signature]
    assert open_book(task).trials()[slow.number].pruning == 3
    # The sampler goes on with what was pruned.
    open_book(task).ask()


def test_pruning_needs_enough_curves_and_some_time() -> None:
    others = [dict(enumerate(GOOD, start=1))] * 4
    assert would_prune({1: 0.01, 2: 0.01}, others, epochs=8)
    assert not would_prune({1: 0.01, 2: 0.01}, others[:3], epochs=8)
    assert not would_prune({1: 0.01, 2: 0.01}, [*others[:3], {}, {}], epochs=8)
    assert not would_prune({1: 0.01}, others, epochs=8)
    assert not would_prune({}, others, epochs=8)
    # The best so far counts, and the median is not beaten.
    assert not would_prune({1: 0.2, 2: 0.01}, others, epochs=8)
    # Measured at other epochs, they say nothing.
    assert not would_prune({1: 0.01, 3: 0.01}, [{2: 0.5, 4: 0.6}] * 4, epochs=8)


def test_pruning_measures_runs_on_their_way_and_renames_none(tmp_path: Path) -> None:
    task = task_of(study(), tmp_path)
    point = {RATIO: 0.25, TEMPERATURE: 0.1}
    prepared, words = prepare(task)
    assert prepared.base.runtime.evaluate_every == 1
    assert "every 1 of 8 epochs, from 2 on; --set runtime.evaluate_every=N" in words
    assert prepared.cell(0, point).signature == task.cell(0, point).signature
    assert prepared.name == task.name
    own, words = prepare(task_of(study(), tmp_path, "runtime.evaluate_every=3"))
    assert own.base.runtime.evaluate_every == 3
    assert words.endswith("every 3 of 8 epochs, from 2 on.")


def test_pruning_is_refused_where_there_is_nothing_to_go_by(tmp_path: Path) -> None:
    first = Objective("hours", "minimize")
    with pytest.raises(UserError, match=r"--prune: .* first objective is 'hours'"):
        prepare(task_of(study(objectives=(first,)), tmp_path))
    with pytest.raises(UserError, match="runs of 1 epochs are not measured"):
        prepare(task_of(study(), tmp_path, "training.batch_size=32", "training.steps=3"))


def test_a_second_driver_is_refused_and_told_who_holds_the_study(tmp_path: Path) -> None:
    import os

    task = task_of(study(), tmp_path)
    words = rf"{task.name}.lock: process {os.getpid()} on {os.uname().nodename} works on"
    with hold_study(task), pytest.raises(UserError, match=words), hold_study(task):
        pass
    with hold_study(task):
        pass
