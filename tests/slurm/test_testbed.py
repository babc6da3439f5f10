"""The test cluster is a real SLURM, mends what was killed, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from testbed_session import Testbed, free_port, processes_with, wait_for

from slurm.testbed.configuration import MAX_ARRAY_SIZE
from slurm.testbed.machine import HOSTS
from slurm.testbed.settings import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

NODES = ["node1", "node2", "node3"]

UNTIL_TOLD = "echo start $SLURM_RESTART_COUNT >> starts; until [ -e go ]; do sleep 0.2; done"


def test_a_second_up_is_quick_and_changes_nothing(testbed: Testbed) -> None:
    pids = testbed.pids()
    files = {path: path.stat().st_mtime_ns for path in (testbed.cluster.folder / "pids").iterdir()}
    started = time.monotonic()

    done = testbed.call("up", "--no-link")

    assert time.monotonic() - started < 10
    assert done.returncode == 0, done.stderr
    assert "started" not in done.stdout
    assert f"export SLURM_CONF={testbed.cluster.configuration}" in done.stdout
    assert testbed.pids() == pids
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_its_nodes_take_jobs(testbed: Testbed) -> None:
    lines = testbed.ask("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T %c %m %G").splitlines()

    assert lines == [f"{node} idle 8 16000 gpu:4" for node in NODES]


def test_status_says_what_lives(testbed: Testbed) -> None:
    done = testbed.call("status")

    assert done.returncode == 0, done.stderr
    daemons = ["munged", "mariadbd", "slurmdbd", "slurmctld", *(f"slurmd-{n}" for n in NODES)]
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[: len(daemons)]] == [[d, "alive"] for d in daemons]
    assert "preempt-now" in done.stdout


def test_a_job_sees_the_gpus_it_was_given_and_no_others(testbed: Testbed) -> None:
    show = "echo $CUDA_VISIBLE_DEVICES; sleep 2"
    command = ("srun", "--nodelist=node1", "--gpus-per-node=2", "sh", "-c", show)
    environment = testbed.cluster.environment()
    jobs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    assert sorted(job.communicate(timeout=60)[0].strip() for job in jobs) == ["0,1", "2,3"]


def test_two_nodes_run_two_tasks_each(testbed: Testbed) -> None:
    show = "echo $SLURM_PROCID $SLURM_LOCALID $SLURMD_NODENAME"

    lines = testbed.ask("srun", "--nodelist=node[1-2]", "--ntasks-per-node=2", "sh", "-c", show)

    assert sorted(lines.splitlines()) == ["0 0 node1", "1 1 node1", "2 0 node2", "3 1 node2"]


def test_an_urgent_job_has_another_requeued(testbed: Testbed, tmp_path: Path) -> None:
    whole_node = ("--nodelist=node3", "--gpus-per-node=4")
    victim = testbed.submit(tmp_path, UNTIL_TOLD, "--partition=preempt-now", *whole_node)
    wait_for((tmp_path / "starts").exists)

    urgent = testbed.submit(tmp_path, "true", "--partition=urgent", *whole_node)
    testbed.wait(urgent, "COMPLETED")
    (tmp_path / "go").touch()
    testbed.wait(victim, "COMPLETED")

    assert (tmp_path / "starts").read_text() == "start\nstart 1\n"
    states = ("sacct", "-X", "-n", "-P", "--duplicates", "-o", "State", "-j", victim)
    wait_for(
        lambda: testbed.ask(*states).split() == ["PREEMPTED", "COMPLETED"],
        found=lambda: testbed.ask(*states),
    )


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--account=nosuch", "Invalid account"),
        ("--account=closed", "Invalid account"),
        ("--qos=nosuch", "Invalid qos"),
        ("--partition=nosuch", "invalid partition"),
        ("--gpus-per-node=5", "configuration is not available"),
        (f"--array=0-{MAX_ARRAY_SIZE}", "Invalid job array"),
    ],
)
def test_what_a_cluster_refuses_it_refuses(testbed: Testbed, option: str, words: str) -> None:
    done = testbed.run("sbatch", option, "--wrap", "true")

    assert done.returncode != 0
    assert words in done.stderr


def test_accounts_and_qualities_it_has_are_recorded(testbed: Testbed, tmp_path: Path) -> None:
    job = testbed.submit(tmp_path, "true", "--qos=high", "--constraint=a100")
    testbed.wait(job, "COMPLETED")

    show = ("sacct", "-X", "-n", "-P", "-o", "Account,QOS,State,NodeList", "-j", job)
    wait_for(
        lambda: testbed.ask(*show).strip() == "research|high|COMPLETED|node3",
        found=lambda: testbed.ask(*show),
    )


def test_up_mends_a_controller_that_was_killed_and_its_jobs_go_on(
    testbed: Testbed, tmp_path: Path
) -> None:
    job = testbed.submit(tmp_path, UNTIL_TOLD)
    wait_for((tmp_path / "starts").exists)
    # SLURM writes its state some seconds late, and what is not in it is lost or starts again.
    saved = testbed.cluster.folder / "state" / "job_state"
    started = (tmp_path / "starts").stat().st_mtime_ns
    testbed.ask("scontrol", "reconfigure")
    wait_for(lambda: saved.exists() and saved.stat().st_mtime_ns > started)
    before = testbed.pids()
    _kill(before["slurmctld"])

    assert testbed.call("status").returncode == 1
    done = testbed.call("up", "--no-link")

    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "started" in line] == ["started slurmctld"]
    after = testbed.pids()
    assert {name for name in after if after[name] != before[name]} == {"slurmctld"}
    assert testbed.state(job) == "RUNNING"
    (tmp_path / "go").touch()
    testbed.wait(job, "COMPLETED")
    assert (tmp_path / "starts").read_text() == "start\n"


def test_up_mends_all_else_that_was_killed_and_a_node_that_was_drained(testbed: Testbed) -> None:
    killed = ["munged", "mariadbd", "slurmdbd", "slurmd-node2"]
    for name in killed:
        _kill(testbed.pids()[name])
    wait_for(lambda: testbed.call("status").stdout.count("dead") == len(killed))

    done = testbed.call("up", "--no-link")

    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines() if "started" in line] == killed
    testbed.ask("scontrol", "update", "nodename=node2", "state=drain", "reason=test")
    assert testbed.call("up", "--no-link").returncode == 0
    assert testbed.ask("srun", "--nodelist=node2", "hostname") != ""
    assert "COMPLETED" in testbed.ask("sacct", "-X", "-n", "-o", "State")


def test_another_configuration_is_refused_while_it_is_up(testbed: Testbed) -> None:
    done = testbed.call("up", "--accounting", "none")

    assert done.returncode == 2
    assert "holds a cluster with" in done.stderr


@pytest.fixture
def second(folder: Path, testbed: Testbed) -> Generator[Testbed, None, None]:
    """A cluster without accounting, beside the session's."""
    del testbed
    bed = Testbed(Cluster(folder, free_port(), "none"))
    done = bed.call("up", "--port", str(bed.cluster.port), "--accounting", "none", "--no-link")
    assert done.returncode == 0, done.stderr
    yield bed
    bed.call("down", "--wipe")


def test_down_leaves_nothing_of_its_own_and_everything_else(
    testbed: Testbed, second: Testbed, tmp_path: Path
) -> None:
    mine = "7654.321"
    script = f"trap '' TERM; setsid --fork sleep {mine}; touch started; sleep {mine}"
    second.submit(tmp_path, script)
    wait_for((tmp_path / "started").exists)
    record = second.cluster.folder / "pids" / "munged.json"
    identity = json.loads(record.read_text())
    look_alike = ["munged", "--socket", str(second.cluster.munge_socket)]
    hosts = HOSTS.read_text()
    with subprocess.Popen(["bash", "-c", "read", *look_alike], stdin=subprocess.PIPE) as foreign:
        stale = record.with_name("slurmd-node3.json")
        _kill(second.pids()["slurmd-node3"])
        stale.write_text(json.dumps({**identity, "pid": foreign.pid}))

        done = second.call("down", "--wipe")

        assert done.returncode == 0, done.stderr
        assert foreign.poll() is None
        foreign.kill()
    assert not second.cluster.folder.exists()
    assert processes_with(str(second.cluster.folder), mine) == []
    assert str(second.cluster.folder) in hosts or not os.access(HOSTS, os.W_OK)
    assert str(second.cluster.folder) not in HOSTS.read_text()
    assert testbed.call("status").returncode == 0


def test_without_accounting_jobs_run_and_sacct_refuses(second: Testbed, tmp_path: Path) -> None:
    job = second.submit(tmp_path, "true")

    second.wait(job, "COMPLETED")

    assert "accounting storage is disabled" in second.run("sacct").stderr


def test_a_taken_port_is_named(testbed: Testbed, folder: Path) -> None:
    other = Testbed(Cluster(folder, testbed.cluster.port))

    done = other.call("up", "--port", str(testbed.cluster.port), "--accounting", "none")

    assert done.returncode == 2
    assert f"port {testbed.cluster.port} is taken, and slurmctld needs it" in done.stderr
    assert not other.cluster.configuration.exists()
    assert processes_with(str(other.cluster.folder)) == []
    assert testbed.call("status").returncode == 0


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
