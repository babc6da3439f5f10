"""Why a job waits and how one ended, in words."""

import pytest

from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.sweep.slurm.reasons import explain, how_ended

DOWN = "Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions"


def said(reason: str) -> str:
    return str(explain(SchedulerJob("1", "PENDING", reason, is_active=True)))


@pytest.mark.parametrize("word", [DOWN, f"({DOWN})", DOWN.replace(" ", "_")])
def test_nodes_that_are_down_or_taken_are_explained(word: str) -> None:
    assert said(word).startswith("the nodes that it could have are down, drained or taken by a")
    assert "starts when they are free" in said(word)
    assert "DRAINED" not in said(word)


def test_nodes_that_are_named_after_a_reason_do_not_hide_it() -> None:
    assert "`sinfo -R`" in said("ReqNodeNotAvail,_UnavailableNodes:n[1-2]")


def test_a_job_before_its_time_may_be_wanted_or_requeued() -> None:
    assert said("BeginTime") == (
        "not before its time: a `begin` of its profile, or a minute or two after a requeue"
    )


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("QOSMaxJobsPerUserLimit", "limit of jobs that its quality of service allows"),
        ("QOSMaxGRESPerUser", "limit of GPUs that its quality of service allows"),
        ("QOSGrpCpuLimit", "its quality of service is at its limit of cores"),
        ("QOSMaxSubmitJobPerUserLimit", "limit of"),
    ],
)
def test_the_limit_of_a_quality_of_service_is_shown_by_its_own_command(
    reason: str, words: str
) -> None:
    assert words in said(reason)
    assert said(reason).endswith("`sacctmgr show qos` shows the limit")


@pytest.mark.parametrize("reason", ["AssocGrpCpuLimit", "AssocMaxJobsLimit"])
def test_the_limit_of_an_account_is_shown_by_its_own_command(reason: str) -> None:
    assert said(reason).endswith("`sacctmgr show assoc` shows the limit")


def test_a_limit_of_each_job_is_never_met() -> None:
    assert "it never starts" in said("QOSMaxCpuPerJobLimit")


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        ("FAILED", "1:0", "FAILED, exit code 1"),
        ("FAILED", "0:9", "FAILED, signal 9"),
        ("TIMEOUT", "0:0", "TIMEOUT"),
        ("NODE_FAIL", "", "NODE_FAIL"),
    ],
)
def test_how_a_job_ended_is_said_with_what_slurm_knows(state: str, code: str, words: str) -> None:
    assert how_ended(SchedulerJob("1", state, exit_code=code)) == words
