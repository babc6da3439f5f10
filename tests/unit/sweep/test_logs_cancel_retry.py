"""Commands that look after runs: what they printed, stopping them, trying them again."""

import fcntl
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.fake_runs import write_run
from tests.fake_scheduler import accounted, open_scheduler, queued
from tests.lives import call, data, noted, run_of, submitted
from tgdp.errors import UserError
from tgdp.sweep import retry
from tgdp.sweep.cells import every, find_one
from tgdp.sweep.plan import make_plan
from tgdp.sweep.state import read_state

HELD = """
import fcntl, sys, signal
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def refused(result) -> str:
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


def printed(run, job: str, rank: int = 0, out: str = "", err: str = "") -> None:
    folder = run.log / job
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{job}_{rank}_log.out").write_text(out)
    (folder / f"{job}_{rank}_log.err").write_text(err)


def test_cells_are_found_by_every_name_they_have(tmp_path) -> None:
    (cell, *_) = noted(tmp_path)
    write_run(tmp_path, cell)
    for name in (cell.signature, cell.signature[:5], "0.00@0", "masking/0.00@0"):
        assert find_one(tmp_path, name).run.name == cell.signature
    with pytest.raises(UserError, match=r"ROW@SEED.*masking/0\.00@0"):
        find_one(tmp_path, "0.99@0")
    with pytest.raises(UserError, match="means 5 runs"):
        find_one(tmp_path, "masking")


def test_logs_are_those_of_the_newest_job_or_of_the_one_asked_for(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell)
    printed(run, "101", out="trained\n", err="careful\n")
    time.sleep(0.02)
    printed(run, "102", out="evaluated\n")
    assert "evaluated" in call(tmp_path, "logs", "0.00@0").output
    first = call(tmp_path, "logs", "0.00@0", "--attempt", "1").output
    assert "trained" in first
    assert "careful" in first
    assert "evaluated" not in first
    (run.log / "%j").mkdir()  # submitit makes one with the name of its own pattern.
    assert "has 2" in refused(call(tmp_path, "logs", "0.00@0", "--attempt", "3"))


def test_logs_of_a_rank_of_a_cluster_job(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7_0", "done")
    folder = tmp_path / ".submissions" / "one" / "7_0"
    folder.mkdir(parents=True)
    (run.log / "7_0").symlink_to(folder)
    for rank in (0, 1):
        (folder / f"7_0_{rank}_log.out").write_text(f"I am {rank}\n")
    assert "I am 1" in call(tmp_path, "logs", "0.00@0", "--rank", "1").output
    assert "ranks 0, 1" in refused(call(tmp_path, "logs", "0.00@0", "--rank", "2"))
    assert data(tmp_path, "logs", "0.00@0")["files"] == [str(folder / "7_0_0_log.out")]


def test_logs_are_not_those_of_a_job_that_waits_behind_the_one_that_prints(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7", "interrupted")
    submitted(tmp_path, cell, "8", stage="evaluate")
    waits = call(tmp_path, "logs", "0.00@0")
    assert "Job 7 has printed nothing yet" in waits.stderr
    folder = tmp_path / ".submissions" / "one" / "7"
    folder.mkdir(parents=True)
    (folder / "7_0_log.out").write_text("step 3\n")
    assert "step 3" in call(tmp_path, "logs", "0.00@0").output
    assert data(tmp_path, "logs", run.name)["job"] == "7"


def test_following_ends_with_the_run(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell)
    printed(run, "101", out="all\n")
    started = time.monotonic()
    assert "all" in call(tmp_path, "logs", "0.00@0", "-f").output
    assert time.monotonic() - started < 5


def test_cancel_asks_and_tells_the_cluster_once(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    for index, cell in enumerate(cells[:3]):
        submitted(tmp_path, cell, f"7_{index}")
    submitted(tmp_path, cells[0], "8_0", stage="evaluate")
    fake.queue(queued("7_0"), queued("7_1", "PENDING"), queued("8_0", "PENDING"))
    fake.accounts(accounted("7_2", "COMPLETED"))
    refusal = call(tmp_path, "cancel", "masking", answer="n\n")
    assert refusal.exit_code == 1
    assert fake.calls("scancel") == []
    found = data(tmp_path, "cancel", "masking/0.[02]*", "--yes")
    assert sorted(row["jobs"] for row in found) == [["7_0", "8_0"], ["7_1"]]
    (words,) = fake.calls("scancel")
    assert sorted(words.split()) == ["7_0", "7_1", "8_0"]


def test_cancel_says_what_the_cluster_refuses(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7")
    fake.queue(queued("7"))
    fake.fail("scancel", "error: Access/permission denied")
    assert "permission denied" in refused(call(tmp_path, "cancel", "0.00@0", "--yes"))


def test_cancel_lets_a_process_of_this_machine_save(tmp_path, fake) -> None:
    (cell, other, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "running")
    write_run(tmp_path, other, "running")  # Its process is gone: this one's number is not meant.
    words = [sys.executable, "-c", HELD, str(run.lock_file)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        run.set_status(replace(run.status(), pid=process.pid))
        assert call(tmp_path, "cancel", "masking", "--yes").exit_code == 0
        assert process.wait(10) == 7
    assert "Nothing to cancel" in call(tmp_path, "cancel", "masking", "--yes").output


def test_retry_finds_each_cause_and_marks_it_for_the_next_launch(tmp_path, fake, toy) -> None:
    failed, timed_out, short, left, done = noted(tmp_path)
    write_run(tmp_path, failed, "failed", error="ValueError: no")
    submitted(tmp_path, timed_out, "7", "interrupted")
    write_run(tmp_path, short, "failed", error="OutOfMemoryError: CUDA out of memory")
    submitted(tmp_path, left, "8", "interrupted")
    write_run(tmp_path, done)
    fake.accounts(
        accounted("7", "TIMEOUT"),
        accounted("8", "FAILED", ExitCode="75:0", ElapsedRaw="7000", Timelimit="02:00:00"),
    )

    def names(*words: str) -> set[str]:
        return {row["run"] for row in data(tmp_path, "retry", *words)["runs"]}

    assert "--failed, --timeout or --oom" in refused(call(tmp_path, "retry"))
    assert names("--timeout") == {timed_out.signature, left.signature}
    assert names("--oom") == {short.signature}
    assert names("0.00@0", "--failed") == {failed.signature}
    assert [read_state(run_of(tmp_path, cell)).state for cell in (failed, short)] == [
        "interrupted",
        "interrupted",
    ]
    assert read_state(run_of(tmp_path, failed)).error == ""
    assert read_state(run_of(tmp_path, done)).state == "done"
    plan = make_plan(toy, (failed, short, done), tmp_path)
    assert [planned.cell for planned in plan.todo()] == [failed, short]


def test_a_job_that_left_long_before_its_limit_did_not_time_out(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "8", "interrupted")
    fake.accounts(
        accounted("8", "FAILED", ExitCode="75:0", ElapsedRaw="600", Timelimit="1-00:00:00")
    )
    assert data(tmp_path, "retry", "--timeout")["runs"] == []


def test_a_job_killed_for_memory_without_cgroups_is_known_by_its_last_words(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "interrupted")
    folder = tmp_path / ".submissions" / "one" / "7"
    folder.mkdir(parents=True)
    said = "slurmstepd: error: exceeded memory limit (659988480 > 209715200), being killed"
    (folder / "7_0_log.err").write_text(said)
    submitted(tmp_path, cell, "8", stage="evaluate")
    killed = accounted("7", "FAILED", ExitCode="9:0", ElapsedRaw="9", NodeList="n1")
    fake.accounts(killed, accounted("8", "CANCELLED"))
    assert data(tmp_path, "status", "masking", "--seeds", "1")[0]["cause"] == "oom"
    assert "interrupted: out of memory" in call(tmp_path, "status", "masking").output
    (row,) = data(tmp_path, "retry", "--oom")["runs"]
    assert row["cause"] == "oom"


def test_from_scratch_moves_the_folder_aside_and_deletes_nothing(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "failed", error="no")
    before = sorted(path.name for path in run.path.iterdir())
    (moved,) = data(tmp_path, "retry", "--failed", "--from-scratch")["moved"]
    kept = {path.name for path in (tmp_path / "aside").glob(f"{cell.signature}-*/*")}
    assert moved.startswith(str(tmp_path / "aside" / cell.signature))
    assert kept >= set(before)
    assert read_state(run).state == "new"


@pytest.mark.parametrize("from_scratch", [False, True])
@pytest.mark.parametrize("state", ["running", "done"])
def test_a_run_that_was_gone_on_with_since_it_was_found_is_left_alone(
    tmp_path, fake, caplog, state, from_scratch
) -> None:
    (cell, *_) = noted(tmp_path)
    write_run(tmp_path, cell, "failed", error="no")
    found = retry.candidates(every(tmp_path), ["failed"])
    assert [one.cause for one in found] == ["failed"]
    run = write_run(tmp_path, cell, state)
    # On another host, whose process nobody here can ask after.
    now = replace(run.status(), host="node7", updated=float(int(time.time())))
    run.set_status(now)
    assert retry.mark(found, tmp_path, from_scratch) == ((), ())
    assert run.status() == now
    assert f"{run.path}: left alone" in caplog.text


@pytest.mark.parametrize("state", ["running", "done"])
def test_a_run_that_is_gone_on_with_while_its_lock_is_taken_is_left_alone(
    tmp_path, fake, monkeypatch, state
) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "failed", error="no")
    found = retry.candidates(every(tmp_path), ["failed"])

    class Lock(retry.FileLock):
        def acquire(self, *words, **more):
            write_run(tmp_path, cell, state)
            return super().acquire(*words, **more)

    monkeypatch.setattr(retry, "FileLock", Lock)
    assert retry.mark(found, tmp_path, from_scratch=True) == ((), ())
    assert run.status().state == state


def test_a_run_that_was_submitted_since_it_was_found_is_left_alone(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "interrupted")
    submitted(tmp_path, cell, "7")
    fake.accounts(accounted("7", "TIMEOUT"))
    found = retry.candidates(every(tmp_path), ["timeout"])
    assert len(found) == 1
    submitted(tmp_path, cell, "8")
    fake.queue(queued("8", "PENDING"))
    assert retry.mark(found, tmp_path, from_scratch=True) == ((), ())
    assert run.path.exists()


def test_a_run_whose_job_may_wait_does_not_begin_anew(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7", "failed")
    fake.fail("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    assert data(tmp_path, "retry", "--failed", "--from-scratch")["moved"] == []
    assert read_state(run).state == "failed"
    assert data(tmp_path, "retry", "--failed")["moved"] == []
    assert read_state(run).state == "interrupted"


def test_a_run_whose_process_was_killed_is_marked(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7", "running")
    fake.accounts(accounted("7", "TIMEOUT"))
    assert len(data(tmp_path, "retry", "--timeout", "--from-scratch")["moved"]) == 1
    assert not run.path.exists()


def test_a_run_that_somebody_works_on_is_not_touched(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "failed", error="no")
    with run.lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "a process works on it" in refused(call(tmp_path, "retry", "--failed"))
    submitted(tmp_path, cell, "7")
    fake.queue(queued("7"))
    assert data(tmp_path, "retry", "--failed")["runs"] == []
