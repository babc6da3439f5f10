"""The plan: states read from run directories, the time left, equal science once."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tgdp.config import dump
from tgdp.errors import UserError
from tgdp.presets import tiny
from tgdp.sweep import estimate
from tgdp.sweep.declare import Cell, Sweep, expand
from tgdp.sweep.plan import Plan, check_writable, make_plan
from tgdp.training.run_directory import RunDirectory, State, Status


def store(results: Path, cell: Cell, state: State, **fields) -> RunDirectory:
    run = RunDirectory(results / "runs" / cell.signature)
    run.create(dump(cell.config))
    run.set_status(Status(state=state, host=os.uname().nodename, pid=os.getpid(), **fields))
    if state == "done":
        run.result_file.write_text(json.dumps({"metrics": {}}))
    return run


@contextmanager
def held(run: RunDirectory) -> Iterator[None]:
    with run.lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def plan_of(toy: Sweep, results: Path, *, retry: frozenset = frozenset()) -> Plan:
    return make_plan(toy, expand(toy, tiny()), results, retry)


def test_a_plan_of_nothing_writes_nothing(toy: Sweep, tmp_path: Path) -> None:
    plan = plan_of(toy, tmp_path / "results")
    assert plan.counts() == {"new": 3}
    assert len(plan.todo()) == 3
    assert list(tmp_path.iterdir()) == []


def test_states_come_from_the_run_directories(toy: Sweep, tmp_path: Path) -> None:
    done, failed, interrupted = expand(toy, tiny())
    store(tmp_path, done, "done")
    store(tmp_path, failed, "failed", error="no")
    store(tmp_path, interrupted, "interrupted")
    plan = plan_of(toy, tmp_path)
    assert [run.state for run in plan.runs] == ["done", "failed", "interrupted"]
    assert [run.state for run in plan.todo()] == ["interrupted"]
    again = plan_of(toy, tmp_path, retry=frozenset({"failed"}))
    assert [run.state for run in again.todo()] == ["failed", "interrupted"]


def test_running_needs_a_process_that_holds_the_lock(toy: Sweep, tmp_path: Path) -> None:
    run = store(tmp_path, expand(toy, tiny())[0], "running")
    with held(run):
        assert plan_of(toy, tmp_path).runs[0].state == "running"
    assert plan_of(toy, tmp_path).runs[0].state == "interrupted"


def test_a_dead_process_is_an_interrupted_run(toy: Sweep, tmp_path: Path) -> None:
    run = store(tmp_path, expand(toy, tiny())[0], "running")
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    run.set_status(replace(run.status(), state="running", pid=pid))
    with held(run):
        assert plan_of(toy, tmp_path).runs[0].state == "interrupted"


def test_killed_between_the_last_two_writes_is_done(toy: Sweep, tmp_path: Path) -> None:
    run = store(tmp_path, expand(toy, tiny())[0], "running")
    run.result_file.write_text("{}")
    assert plan_of(toy, tmp_path).runs[0].state == "done"


def test_done_without_a_result_is_not_done(toy: Sweep, tmp_path: Path) -> None:
    run = store(tmp_path, expand(toy, tiny())[0], "done")
    run.result_file.unlink()
    assert plan_of(toy, tmp_path).runs[0].state == "interrupted"


def test_equal_science_in_two_sweeps_is_one_run(toy: Sweep, tmp_path: Path) -> None:
    store(tmp_path, expand(toy, tiny())[1], "done")
    other = replace(toy, name="other", variants=(replace(toy.variants[1], label="another word"),))
    assert plan_of(other, tmp_path).counts() == {"done": 1}


def test_two_rows_of_equal_science_are_run_once(toy: Sweep, tmp_path: Path) -> None:
    twins = replace(toy, variants=(*toy.variants, replace(toy.variants[0], label="same")))
    assert len(plan_of(twins, tmp_path).runs) == 3


def test_time_left_comes_from_the_finished_runs_of_the_sweep(toy: Sweep, tmp_path: Path) -> None:
    done, half, _ = expand(toy, tiny())
    store(tmp_path, done, "done", seconds=100.0)
    store(tmp_path, half, "interrupted", step=250, total_steps=500)
    plan = plan_of(toy, tmp_path)
    assert [plan.seconds_left(run) for run in plan.runs] == [0.0, 50.0, 100.0]
    assert plan.wall_seconds(1) == 150.0
    assert plan.wall_seconds(2) == 100.0  # the longest run is as long as it is


def test_a_trained_run_is_left_to_do_and_nearly_done(toy: Sweep, tmp_path: Path) -> None:
    done, trained, _ = expand(toy, tiny())
    store(tmp_path, done, "done", seconds=100.0)
    store(tmp_path, trained, "trained", step=500, total_steps=500, saved=500)
    plan = plan_of(toy, tmp_path)
    assert [run.state for run in plan.todo()] == ["trained", "new"]
    assert [plan.seconds_left(run) for run in plan.runs] == [0.0, 0.0, 100.0]


def test_other_sweeps_runs_of_the_same_shape_count(toy: Sweep, tmp_path: Path) -> None:
    (same,) = expand(replace(toy, variants=toy.variants[:1]), tiny(), (7,))
    store(tmp_path, same, "done", seconds=40.0)
    plan = plan_of(toy, tmp_path)
    assert plan.estimate.seconds == 40.0
    assert "same shape" in plan.estimate.origin


def test_another_shape_does_not_count(toy: Sweep, tmp_path: Path) -> None:
    longer = tiny().model_copy(update={"training": replace_steps(9)})
    store(tmp_path, expand(toy, longer)[0], "done", seconds=40.0)
    plan = plan_of(toy, tmp_path)
    assert plan.estimate.seconds is None
    assert plan.wall_seconds(2) is None


def replace_steps(steps: int):
    return tiny().training.model_copy(update={"steps": steps})


def test_the_committed_reference_counts_where_nothing_else_does(
    toy: Sweep, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(estimate, "REFERENCE", tmp_path / "committed")
    (tmp_path / "committed").mkdir()
    rows = [f"{cell.signature},71" for cell in expand(toy, tiny())] + ["0000,9"]
    (tmp_path / "committed" / "toy.csv").write_text("signature,seconds\n" + "\n".join(rows))
    assert plan_of(toy, tmp_path).estimate.seconds == 71.0


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--results DIR"):
        check_writable(tmp_path / "file")


def test_ten_thousand_runs_are_planned_in_a_moment(toy: Sweep, tmp_path: Path) -> None:
    cells = expand(toy, tiny(), tuple(range(3334)))
    started = time.process_time()
    plan = make_plan(toy, cells, tmp_path)
    assert len(plan.runs) == 10_002
    # A fiftieth of this on an idle machine; the bound only catches a file opened for every cell.
    assert time.process_time() - started < 2.0
