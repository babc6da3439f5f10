"""One job in this process: what it writes, when it leaves, how it stops."""

import fcntl
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from tgdp.config import Config, dump, load, override
from tgdp.errors import DivergedError, UserError
from tgdp.presets import tiny
from tgdp.sweep.state import read_state
from tgdp.sweep.stop import is_alive
from tgdp.training.run_directory import RunDirectory


def finish(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    run.result_file.write_text("{}")
    return True


def states(run: RunDirectory) -> list[str]:
    return [event["state"] for event in run.events() if event["kind"] == "state"]


def test_a_run_that_ends_is_done_and_says_who_ran_it(make_job) -> None:
    run, job = make_job(finish)
    assert job() == "done"
    status = run.status()
    assert (status.state, status.attempt, status.pid) == ("done", 1, os.getpid())
    assert status.seconds > 0
    assert states(run) == ["running", "done"]
    assert '"torch"' in run.environment_file.read_text()


def test_a_run_that_is_done_is_left_alone(make_job) -> None:
    run, job = make_job(finish)
    job()
    before = run.status()
    assert job() == "done"
    assert run.status() == before


def test_an_error_is_one_line_in_the_status_and_whole_in_the_log(make_job) -> None:
    def fail(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        raise RuntimeError("disk is full\nmore")

    run, job = make_job(fail)
    assert job() == "failed"
    assert run.status().error == "RuntimeError: disk is full"
    assert "more" in (run.log / "error.txt").read_text()
    assert states(run) == ["running", "failed"]


def test_a_run_whose_events_cannot_be_written_has_failed(make_job) -> None:
    run, job = make_job(finish)
    run.events_file.mkdir(parents=True)
    assert job() == "failed"
    assert (run.status().state, run.status().attempt) == ("failed", 1)
    assert "IsADirectoryError" in run.status().error
    assert "events.jsonl" in (run.log / "error.txt").read_text()
    run.events_file.rmdir()
    assert make_job(finish)[1]() == "done"


def test_an_error_the_user_can_mend_is_said_without_its_type(make_job) -> None:
    def fail(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        raise UserError("no such folder")

    run, job = make_job(fail)
    job()
    assert run.status().error == "no such folder"


def test_a_later_attempt_clears_the_error_and_counts_on(make_job) -> None:
    def fail(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        raise RuntimeError

    run, job = make_job(fail)
    job()
    first = run.status()
    run, job = make_job(finish)
    job()
    assert (run.status().error, run.status().attempt) == ("", 2)
    assert run.status().seconds > first.seconds


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR2", "SIGHUP"])
def test_a_signal_sets_the_flag_and_handlers_are_put_back(make_job, name: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)

    def work(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        assert not should_stop()
        signal.raise_signal(number)
        assert should_stop()
        return False

    run, job = make_job(work)
    assert job() == "interrupted"
    assert run.status().state == "interrupted"
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_does_not_wait_for_the_next_step(make_job) -> None:
    def work(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return True

    run, job = make_job(work)
    assert job() == "interrupted"
    assert states(run) == ["running", "interrupted"]


def test_it_stops_when_its_launcher_is_gone(make_job) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    seen: list[bool] = []

    def work(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        seen.append(should_stop())
        return False

    make_job(work, launcher=pid)[1]()
    make_job(work, launcher=os.getpid())[1]()
    assert seen == [True, False]


def test_a_process_that_has_ended_is_not_alive_though_nobody_waited_for_it() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reader, 1)
        os._exit(0)
    assert is_alive(pid)
    os.write(writer, b"x")
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still there
    assert not is_alive(pid)
    os.waitpid(pid, 0)
    assert not is_alive(pid)
    os.close(reader)
    os.close(writer)


def test_a_run_that_another_process_holds_is_left_unchanged(make_job) -> None:
    run, job = make_job(finish)
    job()
    run.result_file.unlink()
    with run.lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run.set_status(replace(run.status(), state="running"))
        before = run.status()
        assert job() is None
        assert run.status() == before


def test_it_waits_for_a_lock_that_a_dying_process_still_holds(make_job) -> None:
    run, job = make_job(finish)
    run.create(dump(tiny()))
    lock = run.lock_file.open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    threading.Timer(0.4, lock.close).start()
    assert job() == "done"


def test_runtime_of_the_newest_launch_wins(make_job) -> None:
    run, job = make_job(lambda *_: False)
    job()
    run, job = make_job(finish, override(tiny(), {"runtime.threads": 3}))
    job()
    assert load(run.config_file).runtime.threads == 3
    assert read_state(run).state == "done"


def test_a_torn_last_line_is_gone_before_the_next_event(make_job) -> None:
    run, job = make_job(lambda *_: False)
    job()
    with run.events_file.open("a") as file:
        file.write('{"kind": "met')
    job()
    assert states(run) == ["running", "interrupted", "running", "interrupted"]


def test_a_gpu_slot_is_set_before_training_loads(make_job, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    seen: list[str] = []

    def work(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        seen.append(os.environ["CUDA_VISIBLE_DEVICES"])
        return False

    make_job(work, gpu="GPU-3")[1]()
    assert seen == ["GPU-3"]


def test_what_killed_processes_left_is_cleared_away(make_job) -> None:
    run, job = make_job(finish)
    run.create(dump(tiny()))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    for name in (f"status.json.{pid}.tmp", f"events.jsonl.{os.getpid()}.tmp"):
        (run.path / name).touch()
    run.diverged_file.touch()
    job()
    # One of a process that lives may be at work just now.
    assert [path.name for path in run.path.glob("*.tmp")] == [f"events.jsonl.{os.getpid()}.tmp"]
    assert not run.diverged_file.exists()


def test_a_run_in_a_settled_state_is_left_alone(make_job) -> None:
    def diverge(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
        raise DivergedError("no finite gradient")

    run, job = make_job(diverge)
    assert job() == "diverged"
    run.diverged_file.touch()
    before = run.status()
    assert make_job(finish, settled=("done", "diverged"))[1]() == "diverged"
    assert run.status() == before
    assert run.diverged_file.exists()
    assert make_job(finish)[1]() == "done"


def test_a_process_that_died_behind_its_result_was_done(make_job) -> None:
    run, job = make_job(finish)
    job()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    run.set_status(replace(run.status(), state="running", pid=pid))
    assert run.status().state == read_state(run).state == "done"
    run.result_file.unlink()
    assert run.status().state == read_state(run).state == "interrupted"


def test_work_that_was_not_saved_is_counted_as_lost_and_saved_work_is_not(make_job) -> None:
    def save_at_40_s_and_fail_at_100(run: RunDirectory, config: Config, should_stop) -> bool:
        run.set_status(replace(run.status(), seconds=100.0, saved_seconds=40.0, step=9, saved=4))
        raise RuntimeError

    def save_and_leave(run: RunDirectory, config: Config, should_stop) -> bool:
        run.set_status(replace(run.status(), seconds=150.0, saved_seconds=150.0, step=6, saved=6))
        return False

    run, job = make_job(save_at_40_s_and_fail_at_100)
    job()
    assert run.status().wasted_seconds == pytest.approx(60, abs=1)
    run, job = make_job(save_and_leave)
    job()
    assert run.status().wasted_seconds == pytest.approx(60, abs=1)
    run, job = make_job(finish)
    assert job() == "done"
    assert run.status().wasted_seconds == pytest.approx(60, abs=1)
    assert run.status().seconds > 150
