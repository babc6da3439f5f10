"""The life of a sweep on a real SLURM: seen, followed, cancelled, and found when its time is over.

The jobs are plain scripts, so that nothing but what looks after them is tested here.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testbed_session import Testbed, wait_for

from tests.lives import data, noted, submitted
from tgdp.sweep.declare import Cell
from tgdp.sweep.slurm.scheduler import ask

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

TOO_LONG = ("--partition=short", "--time=3000")
"""More minutes than the partition gives: such a job is taken and waits for ever."""

PATIENCE_S = 90
"""SLURM looks at the time limits twice a minute."""


class Jobs:
    """Scripts on the test cluster as jobs of runs.

    Args:
        bed: The cluster.
        results: The results folder.
    """

    def __init__(self, bed: Testbed, results: Path) -> None:
        self.bed = bed
        self.results = results
        self.cells = noted(results)

    def submit(self, cell: Cell, script: str, *options: str) -> str:
        """Submit a script as the job of a run, and return its number."""
        logs = self.results / ".submissions" / "one"
        logs.mkdir(parents=True, exist_ok=True)
        where = (f"--output={logs}/%j/%j_0_log.out", f"--error={logs}/%j/%j_0_log.err")
        held = self.bed.submit(self.results, script, "--hold", *where, *options)
        (logs / held).mkdir()
        submitted(self.results, cell, held, at=time.time())
        self.bed.ask("scontrol", "release", held)
        return held

    def row(self, number: int) -> dict:
        """Return what `status` says of one run."""
        return data(self.results, "status", "masking", "--seeds", "1")[number]


@pytest.fixture
def jobs(testbed: Testbed, tmp_path: Path, monkeypatch):
    for name, value in testbed.cluster.environment().items():
        monkeypatch.setenv(name, value)
    made = Jobs(testbed, tmp_path)
    yield made
    left = testbed.ask("squeue", "--noheader", "--format=%A").split()
    if left:
        testbed.run("scancel", *left)


def test_status_says_where_a_job_runs_and_why_another_waits(jobs: Jobs) -> None:
    number = jobs.submit(jobs.cells[0], "sleep 60", "--gres=gpu:2")
    stuck = jobs.submit(jobs.cells[1], "sleep 1", *TOO_LONG)
    jobs.bed.wait(number, "RUNNING")
    wait_for(lambda: jobs.row(1)["reason"] == "PartitionTimeLimit", found=lambda: jobs.row(1))
    running, waiting = jobs.row(0), jobs.row(1)
    assert (running["state"], running["job"], running["partition"]) == ("running", number, "main")
    assert running["node"].startswith("node")
    assert (waiting["state"], waiting["job"]) == ("queued", stuck)
    assert "never starts" in waiting["explanation"]
    wait_for(lambda: jobs.row(0)["gpu_hours"] > 0)


def test_cancel_ends_a_pending_and_a_running_job(jobs: Jobs) -> None:
    running = jobs.submit(jobs.cells[0], "sleep 60")
    waiting = jobs.submit(jobs.cells[1], "sleep 1", *TOO_LONG)
    untouched = jobs.submit(jobs.cells[2], "sleep 60")
    jobs.bed.wait(running, "RUNNING")
    found = data(jobs.results, "cancel", "0.[02]0@0", "--yes")
    assert sorted(row["jobs"] for row in found) == sorted([[running], [waiting]])
    for number in (running, waiting):
        jobs.bed.wait(number, "CANCELLED")
    assert [jobs.row(index)["cause"] for index in (0, 1)] == ["cancelled", "cancelled"]
    assert ask([untouched])[untouched].is_active


def test_logs_follow_a_job_to_its_end(jobs: Jobs) -> None:
    script = "for n in 1 2 3; do echo line $n; sleep 1; done; echo the end >&2"
    number = jobs.submit(jobs.cells[0], script)
    words = ["logs", "0.00@0", "-f", "--results", str(jobs.results)]
    program = "import tgdp.cli.sweep_logs as logs; logs.LOOK_EVERY_S = 1.0; "
    program += "from tgdp.cli.sweep import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("line")] == ["line 1", "line 2", "line 3"]
    assert "the end" in lines
    assert any(f"{number}_0_log.err" in line for line in lines)


def test_what_ran_out_of_time_is_found_and_marked(jobs: Jobs) -> None:
    cell = jobs.cells[0]
    number = jobs.submit(cell, "sleep 600", "--time=1")
    status = {"state": "running", "step": 5, "total_steps": 10, "saved": 5, "host": "node9"}
    folder = jobs.results / "runs" / cell.signature
    (folder / "status.json").write_text(json.dumps({**status, "updated": time.time()}))
    jobs.bed.wait(number, "RUNNING")
    jobs.bed.end_at(number, time.time())
    jobs.bed.wait(number, "TIMEOUT", PATIENCE_S)
    row = jobs.row(0)
    assert (row["state"], row["cause"]) == ("interrupted", "timeout")
    (found,) = data(jobs.results, "retry", "--timeout")["runs"]
    assert found == {"run": cell.signature, "cause": "timeout", "error": ""}
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"


def test_a_requeued_job_is_one_job_and_all_its_time_counts(jobs: Jobs) -> None:
    number = jobs.submit(jobs.cells[0], "sleep 60", "--gres=gpu:1", "--requeue")
    jobs.bed.wait(number, "RUNNING")
    time.sleep(2)
    jobs.bed.ask("scontrol", "requeue", number)
    wait_for(lambda: jobs.row(0)["restarts"] == 1, found=lambda: jobs.row(0))
    assert jobs.row(0)["state"] in {"queued", "running"}
    jobs.bed.wait(number, "RUNNING")
    wait_for(lambda: jobs.row(0)["state"] == "running")
    assert jobs.row(0)["gpu_hours"] > 1 / 3600
