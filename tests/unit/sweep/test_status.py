"""How runs are, by their directories and the scheduler together."""

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.fake_runs import write_run
from tests.fake_scheduler import accounted, open_scheduler, queued
from tests.lives import call, data, noted, run_of, submitted
from tgdp.cli.sweep_status import _pause
from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.sweep.slurm.reasons import explain


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def states(results) -> list[str]:
    return [row["state"] for row in data(results, "status", "masking", "--seeds", "1")]


def test_without_a_cluster_nobody_is_asked(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    write_run(tmp_path, cells[0])
    write_run(tmp_path, cells[1], "failed", error="no room")
    assert states(tmp_path) == ["done", "failed", "new", "new", "new"]
    assert fake.calls("squeue") == fake.calls("sacct") == []


def test_a_folder_alone_makes_no_run(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run_of(tmp_path, cell).create("seed: 0")
    assert states(tmp_path)[0] == "new"


def test_jobs_of_a_cluster_are_queued_running_and_over(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    for index, cell in enumerate(cells[:3]):
        submitted(tmp_path, cell, f"7_{index}")
    running = queued("7_0", NodeList="node2", Partition="main", TimeUsed="30:00")
    running["tres-alloc"] = "cpu=8,gres/gpu=4"
    fake.queue(running, queued("7_1", "PENDING", Reason="PartitionTimeLimit"))
    fake.accounts(accounted("7_2", "FAILED", ExitCode="1:0"))
    rows = data(tmp_path, "status", "masking", "--seeds", "1")
    assert [row["state"] for row in rows] == ["running", "queued", "failed", "new", "new"]
    assert (rows[0]["node"], rows[0]["job"], rows[0]["gpu_hours"]) == ("node2", "7_0", 2.0)
    assert rows[1]["reason"] == "PartitionTimeLimit"
    assert "never starts" in rows[1]["explanation"]
    assert len(fake.calls("squeue")) == len(fake.calls("sacct")) == 1
    table = call(tmp_path, "status", "masking", "--seeds", "1").output
    assert "PartitionTimeLimit (0.20@0): asks for more time than its partition gives" in table


@pytest.mark.parametrize(
    ("word", "cause", "elapsed"),
    [("TIMEOUT", "timeout", "60"), ("PREEMPTED", "preempted", "60"), ("NODE_FAIL", "node", "0")],
)
def test_the_cause_is_that_of_the_job_that_ran_not_of_the_one_that_waited_for_it(
    tmp_path, fake, word, cause, elapsed
) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7_0", "interrupted")
    submitted(tmp_path, cell, "8_0", stage="evaluate")
    ran = accounted("7_0", word, ElapsedRaw=elapsed, End=f"{time.time() - 60:.0f}", NodeList="n1")
    fake.accounts(ran, accounted("8_0", "CANCELLED", End=f"{time.time():.0f}"))
    row = data(tmp_path, "status", "masking", "--seeds", "1")[0]
    assert (row["state"], row["cause"], row["job"], row["node"]) == (
        "interrupted",
        cause,
        "7_0",
        "n1",
    )


@pytest.mark.parametrize(
    ("ahead", "elapsed", "limit", "cause"),
    [
        (3600, "82900", "1-00:00:00", "timeout"),
        (3600, "70000", "1-00:00:00", ""),
        (120, "5", "00:10:00", ""),
        (120, "470", "00:10:00", "timeout"),
    ],
)
def test_a_job_that_left_at_the_signal_ahead_of_its_limit_timed_out(
    tmp_path, fake, ahead, elapsed, limit, cause
) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "interrupted", signal_ahead=ahead)
    left = {"ExitCode": "75:0", "ElapsedRaw": elapsed, "Timelimit": limit, "NodeList": "n1"}
    fake.accounts(accounted("7", "FAILED", **left))
    assert data(tmp_path, "status", "masking", "--seeds", "1")[0]["cause"] == cause


def test_a_job_that_ends_before_tgdp_begins_is_told_with_where_to_look(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7")
    submitted(tmp_path, cell, "8", stage="evaluate")
    broken = accounted("7", "FAILED", ExitCode="3:0", NodeList="n1")
    fake.accounts(broken, accounted("8", "CANCELLED"))
    said = " ".join(call(tmp_path, "status", "masking").output.split())
    assert "0.00@0 failed: job 7 ended before tgdp began (FAILED, exit code 3); see `set" in said
    assert "of profile 'test', and" in said


def test_a_chain_whose_job_was_cancelled_by_hand_is_cancelled(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "interrupted")
    submitted(tmp_path, cell, "8")
    ended = {"ElapsedRaw": "9", "NodeList": "n1", "Timelimit": "00:10:00"}
    fake.accounts(
        accounted("7", "CANCELLED", End=f"{time.time() - 9:.0f}", **ended),
        accounted("8", "FAILED", ExitCode="75:0", End=f"{time.time():.0f}", **ended),
    )
    assert data(tmp_path, "status", "masking", "--seeds", "1")[0]["cause"] == "cancelled"


def test_a_probe_that_failed_or_is_at_work_is_seen_of_a_run_that_is_done(tmp_path, fake) -> None:
    failed, works, *_ = noted(tmp_path)
    for cell, job in ((failed, "7"), (works, "8")):
        submitted(tmp_path, cell, job, "done", stage="probe")
    fake.accounts(accounted("7", "FAILED", ExitCode="1:0", ElapsedRaw="9", NodeList="n1"))
    fake.queue(queued("8", "PENDING", Reason="Priority"))
    table = call(tmp_path, "status", "masking").output
    assert "7 n1: FAILED" in table
    assert "8: Priority" in table


def test_a_watch_that_nobody_sees_writes_one_look_after_the_other(
    tmp_path, fake, monkeypatch
) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7")
    looks = iter((queued("7", "PENDING"), queued("7", "RUNNING"), None))

    def sleep(pause: float) -> None:
        job = next(looks)
        fake.queue(*([job] if job else []))

    fake.queue(next(looks))
    clock = SimpleNamespace(sleep=sleep, strftime=time.strftime)
    monkeypatch.setattr("tgdp.cli.sweep_status.time", clock)
    monkeypatch.setattr("tgdp.sweep.slurm.scheduler.YOUNG_S", 0.0)
    shown = call(tmp_path, "status", "masking", "--watch").output
    assert shown.count("again every 15 s") == 3


def test_a_job_that_is_noted_twice_counts_once(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    for _ in range(2):
        submitted(tmp_path, cell, "7", "interrupted")
    fake.accounts(accounted("7", "NODE_FAIL", ElapsedRaw="3600", AllocTRES="gres/gpu=2"))
    assert data(tmp_path, "status", "masking", "--seeds", "1")[0]["gpu_hours"] == 2.0


def test_a_plan_asks_the_queue_and_spares_the_accounts(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    write_run(tmp_path, cells[0])
    for index in (1, 2):
        submitted(tmp_path, cells[index], f"7_{index}")
    fake.queue(queued("7_1", "PENDING", Reason="Priority"))
    found = data(tmp_path, "plan", "masking", "--seeds", "1")
    assert found["states"] == {"done": 1, "queued": 1, "new": 3}
    assert (len(fake.calls("squeue")), fake.calls("sacct")) == (1, [])
    assert "GPU-hours so far" not in call(tmp_path, "plan", "masking", "--seeds", "1").output


def test_gpu_hours_whose_work_was_lost_are_told(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    run = submitted(tmp_path, cells[0], "7_0", "interrupted")
    status = replace(run.status(), seconds=7200.0, saved_seconds=5400.0, lost_seconds=1800.0)
    status = replace(status, saved=40)
    run.set_status(status)
    gone = accounted("7_0", "NODE_FAIL", ElapsedRaw="7200", AllocTRES="gres/gpu=4")
    fake.accounts(gone)
    row = data(tmp_path, "status", "masking", "--seeds", "1")[0]
    assert row["saved"] == 40
    assert (row["lost_seconds"], row["gpu_hours"], row["lost_gpu_hours"]) == (3600, 8.0, 4.0)
    table = call(tmp_path, "status", "masking", "--seeds", "1").output
    assert "8.0 GPU-hours so far, 4 of them lost." in table


def test_what_was_measured_in_training_is_shown_before_the_end(tmp_path, fake) -> None:
    cells = noted(tmp_path)
    run = write_run(tmp_path, cells[0], "interrupted")
    run.set_status(replace(run.status(), r1=0.123))
    assert data(tmp_path, "status", "masking", "--seeds", "1")[0]["r1"] == 0.123
    assert "12.3" in call(tmp_path, "status", "masking", "--seeds", "1").output


@pytest.mark.parametrize(
    ("said", "state", "cause"),
    [
        ("TIMEOUT", "interrupted", "timeout"),
        ("OUT_OF_MEMORY", "interrupted", "oom"),
        ("CANCELLED by 0", "interrupted", "cancelled"),
        ("NODE_FAIL", "interrupted", "node"),
        ("PREEMPTED", "interrupted", "preempted"),
    ],
)
def test_a_run_whose_job_is_over_does_not_run(tmp_path, fake, said, state, cause) -> None:
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7", "running")
    run.set_status(replace(run.status(), host="node9", updated=time.time()))
    fake.accounts(accounted("7", said, End=str(round(time.time()))))
    (row, *_) = data(tmp_path, "status", "masking", "--seeds", "1")
    assert (row["state"], row["cause"]) == (state, cause)


def test_a_result_outweighs_whatever_became_of_the_job(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "done")
    submitted(tmp_path, cell, "8", stage="probe")
    fake.accounts(accounted("7", "TIMEOUT"))
    fake.queue(queued("8", "PENDING", Reason="Priority"))
    (row, *_) = data(tmp_path, "status", "masking", "--seeds", "1")
    assert (row["state"], row["r1"], row["explanation"]) == ("done", 0.18, "others come first")


def test_a_requeued_job_is_queued_again_not_failed(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "interrupted")
    fake.queue(queued("7", "PENDING", Reason="BeginTime", RestartCnt="1"))
    fake.accounts(accounted("7", "NODE_FAIL"))
    (row, *_) = data(tmp_path, "status", "masking", "--seeds", "1")
    assert (row["state"], row["restarts"]) == ("queued", 1)


def test_an_evaluation_that_waits_for_what_failed_changes_nothing(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7")
    submitted(tmp_path, cell, "8", stage="evaluate")
    write_run(tmp_path, cell, "failed", error="ValueError: no")
    run = run_of(tmp_path, cell)
    run.set_status(replace(run.status(), updated=time.time()))
    fake.queue(queued("8", "PENDING", Reason="DependencyNeverSatisfied"))
    fake.accounts(accounted("7", "FAILED"))
    (row, *_) = data(tmp_path, "status", "masking", "--seeds", "1")
    assert row["state"] == "failed"
    assert "cancel it" in row["explanation"]
    submitted(tmp_path, cell, "9", at=time.time() + 1)
    fake.queue(queued("9", "PENDING", Reason="Priority"))
    assert states(tmp_path)[0] == "queued"  # It was submitted again.


def test_without_an_answer_the_run_directory_counts(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "interrupted")
    for name in ("squeue", "sacct"):
        fake.fail(name, "Unable to contact slurm controller")
    assert states(tmp_path)[0] == "interrupted"


def test_changed_science_is_stale_and_says_which_key(tmp_path) -> None:
    (cell, *_) = noted(tmp_path)
    old = write_run(tmp_path, cell)
    former = old.path.rename(old.path.with_name("0123456789ab"))
    text = (former / "config.yaml").read_text().replace("batch_size: ", "batch_size: 1")
    write_whole(former / "config.yaml", text)
    notes = tmp_path / "sweeps" / "masking.jsonl"
    notes.write_text(notes.read_text().replace(cell.signature, former.name))
    (row, *_) = data(tmp_path, "plan", "masking", "--seeds", "1")["runs"]
    assert (row["state"], row["stale"]["run"]) == ("stale", "0123456789ab")
    assert [*row["stale"]["changed"]] == ["training.batch_size"]
    assert "0.00@0 is stale: was 0123456789ab; changed since: training.batch_size" in (
        call(tmp_path, "plan", "masking", "--seeds", "1").output
    )


def test_the_plan_counts_gpu_hours_of_what_is_left(tmp_path) -> None:
    cells = noted(tmp_path)
    run = write_run(tmp_path, cells[0])
    run.set_status(replace(run.status(), seconds=7200.0))
    write_whole(run.environment_file, json.dumps({"gpus": ["0", "1"]}))
    found = data(tmp_path, "plan", "masking", "--seeds", "1", "--jobs", "2")
    assert found["states"] == {"done": 1, "new": 4}
    assert (found["to_run"], found["gpus_a_run"]) == (4, 2.0)
    assert (found["gpu_hours"], found["wall_s"]) == (16.0, 14_400.0)
    assert found["runs"][0]["gpu_hours"] == 4.0


def test_reasons_say_what_they_mean_and_what_to_do() -> None:
    for word, part in {
        "AssocGrpGRES": "limit of GPUs for all its jobs",
        "QOSMaxJobsPerUserLimit": "limit of jobs that its quality",
        "QOSMaxCpuPerJobLimit": "never starts",
        "launch failed requeued held": "scontrol release",
        "launch_failed_requeued_held": "scontrol release",
        "ReqNodeNotAvail, UnavailableNodes:node3": "sinfo -R",
        "DependencyNeverSatisfied": "retry --failed",
        "SomethingNew": "SomethingNew",
    }.items():
        assert part in str(explain(SchedulerJob("1", "PENDING", word, is_active=True)))
    assert explain(SchedulerJob("1", "RUNNING", "Priority", is_active=True)) is None


def test_many_jobs_are_not_asked_about_more_often_than_every_fifteen_seconds() -> None:
    class Run:
        def __init__(self, jobs: int) -> None:
            self.life = type("Life", (), {"active": (None,) * jobs})

    assert _pause(2.0, [Run(50)]) == 2.0
    assert _pause(2.0, [Run(50), Run(1)]) == 15.0
    assert _pause(60.0, [Run(51)]) == 60.0


def test_a_watch_ends_when_nothing_is_left_to_wait_for(tmp_path, fake) -> None:
    write_run(tmp_path, noted(tmp_path)[0])
    done = call(tmp_path, "status", "masking", "--seeds", "1", "--watch")
    assert done.exit_code == 0
    assert "1 done, 4 new" in done.output
    too_fast = call(tmp_path, "status", "masking", "--watch", "--every", "0.1")
    assert isinstance(too_fast.exception, UserError)
