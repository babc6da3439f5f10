"""A sweep on a real SLURM: submitted, failed, requeued, preempted, refused; always one run each."""

import json
import os
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
    left = testbed.ask("squeue", "--noheader", "--format=%A").split()
    if left:
        testbed.run("scancel", *left)
        wait_for(lambda: not testbed.ask("squeue", "--noheader", "--format=%A").split())


def test_a_sweep_runs_to_its_end_and_is_not_submitted_twice(
    toy: ClusterSweep, testbed: Testbed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy.submit() == 0
    said = capsys.readouterr().out
    (array,) = {job.partition("_")[0] for job in toy.numbers("train")}
    assert f"Submitted {array}: train, 2 runs." in said
    assert f"evaluate, 2 runs, after aftercorr:{array}" in said
    assert "tgdp-sweep cancel toy" in said

    assert toy.submit() == 0
    assert "2 runs are queued or running already" in capsys.readouterr().out
    toy.go()
    for run in toy.runs():
        settled(run, "done")
        assert toy.steps(run) == ALL_STEPS
        assert run.status().attempt == 2
        assert [record.stage for record in jobs.read(run)] == ["train", "evaluate"]
        assert all((run.log / record.job).is_dir() for record in jobs.read(run))
        commit = json.loads(run.environment_file.read_text())["commit"]
        assert commit == _snapshot_commit(toy)

    assert toy.submit() == 0
    assert "Nothing left to run" in capsys.readouterr().out
    assert {len(jobs.read(run)) for run in toy.runs()} == {2}


def test_what_fails_says_so_and_is_neither_evaluated_nor_requeued(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.go()
    (toy.folder / "fail-0.25").touch()
    toy.submit()
    good, bad = toy.runs()

    assert settled(good, "done") == "done"
    testbed.wait(toy.numbers("train")[1], "FAILED")
    testbed.wait(toy.numbers("evaluate")[1], "CANCELLED")

    assert bad.status().state == "failed"
    assert bad.status().error == "ValueError: ratio 0.25 is not to be"
    printed = Path(jobs.read(bad)[0].log).with_suffix(".err").read_text()
    assert "raise ValueError" in printed
    assert bad.status().attempt == 1

    # Tried again, it is whole.
    (toy.folder / "fail-0.25").unlink()
    toy.submit()
    assert len(jobs.read(bad)) == 2
    toy.submit(retry=frozenset({"failed"}))
    assert settled(bad, "done") == "done"
    assert toy.steps(bad) == ALL_STEPS


def test_a_requeued_job_goes_on_from_its_last_save(toy: ClusterSweep, testbed: Testbed) -> None:
    toy.submit()
    run, other = toy.runs()
    wait_for(reached(run, 3))
    wait_for(reached(other, 3))

    testbed.ask("scontrol", "requeue", toy.numbers("train")[0])
    wait_for(lambda: run.status().attempt == 2)
    toy.go()

    assert settled(run, "done") == "done"
    assert toy.steps(run) == ALL_STEPS
    assert {path.name for path in (toy.results / "runs").iterdir() if path.is_dir()} == {
        run.name,
        other.name,
    }
    assert _states(run) == ["running", "interrupted", "running", "trained", "running", "done"]


@pytest.mark.parametrize("walltime", ["walltime: 30", "walltime: 1\nsignal_ahead: 30"])
def test_a_job_told_that_its_walltime_ends_saves_and_queues_again(
    toy: ClusterSweep, testbed: Testbed, walltime: str
) -> None:
    toy.profile(walltime)
    toy.submit()
    run = toy.runs()[0]
    wait_for(reached(run, 3))

    if "signal_ahead" not in walltime:
        # What SLURM sends ahead of the walltime, to the step and not to the batch script.
        testbed.ask("scancel", "--signal=USR2", toy.numbers("train")[0])
    # It may send it up to a minute early; too early it is lost, and the end of the walltime counts.
    wait_for(lambda: run.status().attempt == 2, 180)
    toy.go()

    assert settled(run, "done") == "done"
    assert toy.steps(run) == ALL_STEPS
    assert _states(run)[:3] == ["running", "interrupted", "running"]


@pytest.mark.parametrize("partition", ["preempt", "preempt-now"])
def test_a_preempted_job_goes_on_from_its_last_save(
    toy: ClusterSweep, testbed: Testbed, partition: str
) -> None:
    toy.profile(f"partition: {partition}\nsbatch: {{nodelist: node3}}\ncpus: 4")
    toy.submit()
    for run in toy.runs():
        wait_for(reached(run, 3))

    urgent = testbed.submit(toy.folder, "true", "--partition=urgent", "-w", "node3", "-c", "8")
    testbed.wait(urgent, "COMPLETED")
    toy.go()

    for run in toy.runs():
        assert settled(run, "done") == "done"
        assert toy.steps(run) == ALL_STEPS
        assert run.status().attempt == 3
        assert len(jobs.read(run)) == 2


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


def test_a_cancelled_job_saves_and_stays_out_of_the_queue(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.submit()
    run = toy.runs()[0]
    wait_for(reached(run, 3))

    testbed.ask("scancel", toy.numbers("train")[0])

    assert settled(run, "interrupted") == "interrupted"
    testbed.wait(toy.numbers("train")[0], "CANCELLED")
    testbed.wait(toy.numbers("evaluate")[0], "CANCELLED")
    assert run.status().saved == 3


def test_a_chain_goes_on_where_the_job_must_not_be_queued_again(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.profile("requeue: chain")
    toy.submit()
    run, other = toy.runs()
    first, *_ = [job.job for job in jobs.read(run)]
    wait_for(reached(run, 3))

    testbed.ask("scancel", "--signal=USR2", first)
    wait_for(lambda: run.status().attempt == 2)
    testbed.ask("scancel", jobs.read(other)[0].job)
    settled(other, "interrupted")
    toy.go()

    assert settled(run, "done") == "done"
    assert toy.steps(run) == ALL_STEPS
    # Its successor finds that somebody ended it on purpose, and leaves.
    testbed.wait(jobs.read(other)[1].job, "COMPLETED")
    assert other.status().state == "interrupted"


def test_two_tasks_on_two_nodes_are_the_ranks_of_one_run(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    toy.profile("gpus: 2\nmemory: 4G\nnodes: 2\narray_parallelism: 1")
    toy.go()
    toy.submit()

    for run in toy.runs():
        assert settled(run, "done", 300) == "done"
        assert toy.steps(run) == ALL_STEPS


def test_what_the_cluster_refuses_leaves_nothing(toy: ClusterSweep) -> None:
    toy.profile("account: nosuch")
    with pytest.raises(UserError, match=r"account: you are not in 'nosuch'; valid: research"):
        toy.submit()
    # What no check sees, `sbatch` does.
    toy.profile("sbatch: {reservation: nosuch}")
    with pytest.raises(UserError, match=r"sbatch refuses tgdp-toy-train: .*reservation"):
        toy.submit()

    left = {path.name for path in (toy.results / "runs").iterdir()}
    assert left == set()
    assert os.listdir(toy.results / ".submissions") == ["lock"]


def _states(run: jobs.RunDirectory) -> list[str]:
    return [event["state"] for event in run.events() if event["kind"] == "state"]


def _snapshot_commit(toy: ClusterSweep) -> str:
    (folder,) = (toy.results / ".snapshots").iterdir()
    facts = json.loads((folder / ".snapshot.json").read_text())
    return facts["commit"][:12] + "+" * facts["dirty"]
