"""What only SLURM does with a sweep; what every place does is in test_contract_slurm.py."""

import json
import os
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from cluster_sweep import STEPS, ClusterSweep, reached, settled
from testbed_session import Testbed, wait_for

from tgdp.errors import UserError
from tgdp.sweep.slurm import jobs

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ALL_STEPS = list(range(1, STEPS + 1))


@pytest.fixture
def toy(
    testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[ClusterSweep, None, None]:
    sweep = ClusterSweep(tmp_path, testbed)
    sweep.prepare(monkeypatch)
    yield sweep
    testbed.empty()


def test_jobs_run_what_was_submitted_and_slurm_is_told_of_a_failure(
    toy: ClusterSweep, testbed: Testbed, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.go()
    (toy.folder / "orders" / "fail").write_text("0.25")
    assert toy.submit() == 0
    said = capsys.readouterr().out
    (array,) = {job.partition("_")[0] for job in toy.numbers("train")}
    assert f"Submitted {array}: train, 2 runs." in said
    assert f"evaluate, 2 runs, after aftercorr:{array}" in said
    good, bad = toy.runs()

    assert settled(good, "done") == "done"
    testbed.wait(toy.numbers("train")[1], "FAILED")
    testbed.wait(toy.numbers("evaluate")[1], "CANCELLED")

    printed = Path(jobs.read(bad)[0].log).with_suffix(".err").read_text()
    assert "raise ValueError" in printed
    assert (good.log / jobs.read(good)[0].job).is_dir()
    commit = json.loads(good.environment_file.read_text())["commit"]
    assert commit == _snapshot_commit(toy)


def test_a_signal_that_comes_before_anybody_listens_is_lost_and_kills_nothing(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.go()
    begins, goes = toy.folder / "begins", toy.folder / "goes"
    toy.slow_start(begins, goes)
    toy.submit()
    run = toy.runs()[0]
    wait_for(begins.exists)

    testbed.ask("scancel", "--signal=USR2", toy.numbers("train")[0])
    time.sleep(1)
    goes.touch()

    assert settled(run, "done") == "done"
    assert toy.steps(run) == ALL_STEPS
    assert run.status().attempt == 2


def test_a_job_whose_node_fails_goes_on_elsewhere(toy: ClusterSweep, testbed: Testbed) -> None:
    toy.submit()
    run = toy.runs()[0]
    wait_for(reached(run, 3))
    node = testbed.ask("squeue", "-h", "-o", "%N", "-j", toy.numbers("train")[0]).strip()

    testbed.ask("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        wait_for(lambda: run.status().attempt == 2, 120)
        toy.go()
        assert settled(run, "done") == "done"
    finally:
        # It may have come back by itself, which SLURM calls an error.
        testbed.run("scontrol", "update", f"nodename={node}", "state=resume")
    assert toy.steps(run) == ALL_STEPS


def test_a_chain_goes_on_where_the_job_must_not_be_queued_again(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.profile("requeue: chain\nsuccessors: 2")
    toy.submit()
    run, other = toy.runs()
    first, _, third, _ = [job.job for job in jobs.read(run)]
    wait_for(reached(run, 3))

    testbed.ask("scancel", "--signal=USR2", first)
    wait_for(lambda: run.status().attempt == 2)
    testbed.ask("scancel", jobs.read(other)[0].job)
    settled(other, "interrupted")
    toy.go()

    assert settled(run, "done") == "done"
    assert toy.steps(run) == ALL_STEPS
    assert run.status().attempt == 3
    # Not needed, so it never started; the evaluation did not wait for it.
    testbed.wait(third, "CANCELLED")
    # Of the other one a successor finds that somebody ended it on purpose: nobody goes on with it.
    _, second, third, evaluation = [job.job for job in jobs.read(other)]
    testbed.wait(second, "FAILED")
    testbed.wait(third, "CANCELLED")
    testbed.wait(evaluation, "CANCELLED")
    assert (other.status().state, other.status().attempt) == ("interrupted", 1)


def test_what_sbatch_alone_refuses_leaves_nothing(toy: ClusterSweep) -> None:
    toy.profile("sbatch: {reservation: nosuch}")
    with pytest.raises(UserError, match=r"sbatch refuses tgdp-toy-train: .*reservation"):
        toy.submit()

    assert list((toy.results / "runs").iterdir()) == []
    assert os.listdir(toy.results / ".submissions") == ["lock"]


def _snapshot_commit(toy: ClusterSweep) -> str:
    (folder,) = (toy.results / ".snapshots").iterdir()
    facts = json.loads((folder / ".snapshot.json").read_text())
    return facts["commit"][:12] + "+" * facts["dirty"]
