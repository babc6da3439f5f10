"""What the scheduler is asked, and what is made of its answers."""

import logging
import time

import pytest

from tests.fake_scheduler import accounted, open_scheduler, queued
from tgdp.sweep.slurm.listing import elements
from tgdp.sweep.slurm.scheduler import ask

DISABLED = "Slurm accounting storage is disabled"
BUSY = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def test_nothing_is_asked_about_no_jobs(fake) -> None:
    assert ask([]) == {}
    assert fake.calls("squeue") == fake.calls("sacct") == []


def test_one_call_of_each_covers_all_jobs_and_arrays_go_by_their_number(fake) -> None:
    fake.queue(*(queued(f"7_{index}") for index in range(1000)), queued("8"))
    found = ask([*(f"7_{index}" for index in range(1000)), "8"])
    assert len(found) == 1001
    for name in ("squeue", "sacct"):
        (words,) = fake.calls(name)
        assert words.split()[-2:] == ["-j", "7,8"]


def test_the_queue_says_where_a_job_runs_and_why_another_waits(fake) -> None:
    running = queued("5_0", NodeList="node2", TimeUsed="1-02:03:04", Partition="main")
    running |= {"StartTime": "1700000000", "tres-alloc": "cpu=8,mem=1G,gres/gpu=4,node=1"}
    fake.queue(running, queued("5_1", "PENDING", Reason="PartitionTimeLimit"))
    found = ask(["5_0", "5_1"])
    job = found["5_0"]
    assert (job.node, job.elapsed_s, job.gpus, job.start) == ("node2", 93_784.0, 4, 1.7e9)
    assert job.gpu_s == 4 * 93_784.0
    assert (found["5_1"].state, found["5_1"].reason) == ("PENDING", "PartitionTimeLimit")
    assert all(job.is_active for job in found.values())


def test_a_requeued_job_is_its_newest_start_and_all_starts_cost(fake) -> None:
    tres = {"AllocTRES": "cpu=1,gres/gpu=2"}
    fake.accounts(
        accounted("3", "COMPLETED", Submit="200", ElapsedRaw="30", NodeList="node2", **tres),
        accounted("3", "NODE_FAIL", Submit="100", ElapsedRaw="50", NodeList="node1", **tres),
    )
    job = ask(["3"])["3"]
    assert (job.state, job.node, job.restarts, job.gpu_s) == ("COMPLETED", "node2", 1, 160.0)
    assert not job.is_active


def test_the_queue_is_believed_before_accounts_that_lag(fake) -> None:
    fake.queue(queued("3", "PENDING", RestartCnt="2"), queued("4", "COMPLETED"))
    fake.accounts(accounted("3", "PREEMPTED"), accounted("4", "RUNNING"))
    found = ask(["3", "4"])
    assert [(job.state, job.is_active) for job in found.values()] == [
        ("PENDING", True),
        ("COMPLETED", False),
    ]
    assert found["3"].restarts == 2


def test_a_job_that_the_queue_has_forgotten_is_over_whatever_the_accounts_say(fake) -> None:
    fake.accounts(accounted("3", "RUNNING"), accounted("4", "PREEMPTED"))
    found = ask(["3", "4"])
    assert not any(job.is_active for job in found.values())


def test_who_cancelled_a_job_is_no_part_of_its_state(fake) -> None:
    fake.accounts(accounted("3", "CANCELLED by 1000"))
    assert ask(["3"])["3"].state == "CANCELLED"


def test_memory_is_said_by_a_step(fake) -> None:
    fake.accounts(accounted("3", "FAILED"), accounted("3.0", "OUT_OF_MEMORY"), accounted("4"))
    found = ask(["3", "4"])
    assert (found["3"].out_of_memory, found["4"].out_of_memory) == (True, False)
    assert found["3"].state == "FAILED"


def test_elements_that_wait_stand_in_one_line(fake) -> None:
    assert list(elements("9_[0-2,7,10-14:2%3]")) == [f"9_{n}" for n in (0, 1, 2, 7, 10, 12, 14)]
    assert list(elements("9_3")) == ["9_3"]
    fake.fail("squeue", BUSY)
    fake.accounts(accounted("9_[1-2%1]", "PENDING", Reason="JobArrayTaskLimit"))
    found = ask(["9_1", "9_2", "9_3"])
    assert [*found] == ["9_1", "9_2"]
    assert found["9_2"].is_active  # The queue was not heard; the accounts alone count.


def test_without_accounting_the_queue_counts_and_nobody_is_warned(fake, caplog) -> None:
    fake.queue(queued("3", "TIMEOUT"))
    fake.fail("sacct", DISABLED)
    assert ask(["3"])["3"].state == "TIMEOUT"
    assert len(fake.calls("sacct")) == 1
    assert not caplog.records


def test_a_command_that_fails_for_a_while_is_asked_again(fake, caplog) -> None:
    fake.queue(queued("3"))
    fake.fail("squeue", BUSY, times=2)
    assert ask(["3"])["3"].state == "RUNNING"
    assert len(fake.calls("squeue")) == 3
    assert not caplog.records


def test_a_command_that_goes_on_failing_is_warned_of_and_the_other_counts(fake, caplog) -> None:
    fake.accounts(accounted("3", "RUNNING", NodeList="node1"))
    fake.fail("squeue", BUSY)
    with caplog.at_level(logging.WARNING):
        job = ask(["3"])["3"]
    assert (job.state, job.is_active) == ("RUNNING", True)
    assert "squeue" in caplog.text
    assert "Unable to contact" in caplog.text


def test_one_job_that_the_queue_has_forgotten_is_no_failure(fake, caplog) -> None:
    fake.fail("squeue", "slurm_load_jobs error: Invalid job id specified")
    fake.accounts(accounted("3"))
    assert ask(["3"])["3"].state == "COMPLETED"
    assert len(fake.calls("squeue")) == 1
    assert not caplog.records


def test_a_job_that_neither_knows_is_pending_for_a_minute(fake) -> None:
    now = time.time()
    found = ask(["3", "4"], {"3": now - 5, "4": now - 90})
    assert [*found] == ["3"]
    assert (found["3"].state, found["3"].is_active) == ("PENDING", True)


def test_a_configuration_that_is_not_there_is_said_at_once(fake, monkeypatch, caplog) -> None:
    monkeypatch.setenv("SLURM_CONF", "/gone/slurm.conf")
    assert ask(("7",)) == {}
    assert "SLURM_CONF: /gone/slurm.conf is not there" in caplog.text
    assert fake.calls("squeue") == []


def test_a_machine_without_slurm_knows_nothing_and_says_so(tmp_path, monkeypatch, caplog) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(["3"]) == {}
    assert "not on this machine" in caplog.text


def test_variables_of_the_user_do_not_change_what_is_printed(fake, monkeypatch) -> None:
    monkeypatch.setenv("SQUEUE_FORMAT", "%i")
    script = fake.folder / "squeue"
    script.write_text('#!/bin/sh\n[ -z "$SQUEUE_FORMAT" ] && cat ' + f"{fake.folder}/squeue.says")
    fake.queue(queued("3"))
    assert ask(["3"])["3"].state == "RUNNING"
