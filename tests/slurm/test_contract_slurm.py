"""The contract held of a real SLURM, and what a cluster has besides: its own ways to end a job."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_sweep import SIGNAL_AHEAD_S, write_profile
from testbed_session import Testbed

from tests.backend_contract import ALL_STEPS, ProcessContract, names
from tests.backend_place import PATIENCE_S, Place
from tgdp.sweep.slurm import jobs
from tgdp.training.run_directory import RunDirectory

FIRST, SECOND = "after its first sbatch", "after its second sbatch"

KILLING_SBATCH = """\
#!/bin/sh
said=$({sbatch} "$@") || exit
echo . >> {counted}
[ $(wc -l < {counted}) -eq {number} ] && kill -9 $PPID
echo "$said"
"""
"""Submits, and kills who asked for it before the answer is read."""


class Slurm(Place):
    """A profile on the test cluster.

    Args:
        folder: Where all of it lies.
        bed: The cluster.
    """

    cluster = "own"
    moments = (FIRST, SECOND)
    comes_back = True

    def __init__(self, folder: Path, bed: Testbed) -> None:
        super().__init__(folder)
        self.bed = bed
        write_profile(folder)

    def tell_to_go(self, run: RunDirectory) -> None:
        """Bring the end of its walltime so near that SLURM sends the signal."""
        self.bed.end_at(self.job_of(run), time.time() + SIGNAL_AHEAD_S)

    def until_held(self) -> None:
        """Wait until the commands have submitted, and the runs wait where they are held."""
        for process in self.started:
            process.wait(PATIENCE_S)
        super().until_held()

    def strays(self) -> set[str]:
        """Return the jobs in the queue that are not noted with a run."""
        listed = self.bed.ask("squeue", "--noheader", "-r", "--format=%i").split()
        return set(listed) - {job.job for run in self.runs() for job in jobs.read(run)}

    def is_quiet(self) -> bool:
        """Return whether the queue is empty."""
        return not self.bed.ask("squeue", "--noheader", "--format=%A").split()

    def launch_and_kill(self, moment: str) -> None:
        """Kill the command when the cluster has taken jobs of which it has not heard yet."""
        made = self.folder / "bin"
        made.mkdir()
        number, counted = (FIRST, SECOND).index(moment) + 1, self.folder / "counted"
        words = {"sbatch": shutil.which("sbatch"), "counted": counted, "number": number}
        (made / "sbatch").write_text(KILLING_SBATCH.format(**words))
        (made / "sbatch").chmod(0o755)
        self.launch(PATH=f"{made}{os.pathsep}{os.environ['PATH']}")
        process = self.started.pop()
        assert process.wait(60) == -9
        process.communicate()

    def job_of(self, run: RunDirectory) -> str:
        """Return the number of the newest training of a run."""
        return [job.job for job in jobs.read(run) if job.stage == "train"][-1]


@pytest.mark.slow
@pytest.mark.slurm
class TestSlurm(ProcessContract):
    """All that the place has."""

    kind = Slurm

    @pytest.fixture
    def place(
        self, testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Slurm]:
        monkeypatch.setenv("TGDP_PROFILES", str(tmp_path / "profiles"))
        for name, value in testbed.cluster.environment().items():
            monkeypatch.setenv(name, value)
        place = Slurm(tmp_path, testbed)
        yield place
        place.kill_all()
        testbed.empty()

    @pytest.mark.parametrize("partition", ["preempt", "preempt-now", "preempt-cancel"])
    def test_a_preempted_job_goes_on_from_its_last_save(self, place: Slurm, partition: str) -> None:
        write_profile(place.folder, f"partition: {partition}\nsbatch: {{nodelist: node3}}\ncpus: 4")
        place.order("hold")
        place.launch()
        place.until_held()

        whole = ("--partition=urgent", "--nodelist=node3", "--cpus-per-task=8")
        urgent = place.bed.submit(place.folder, "true", *whole)
        place.bed.wait(urgent, "COMPLETED")
        place.relent("hold")
        place.settle()

        assert place.states() == {"done": 2}
        for run in place.runs():
            assert place.steps(run) == ALL_STEPS
            assert run.status().attempt == 3
            assert [record.stage for record in jobs.read(run)] == ["train", "evaluate"]

    def test_an_account_that_is_not_ours_is_refused_and_nothing_left(self, place: Slurm) -> None:
        write_profile(place.folder, "account: nosuch")

        assert "account: you are not in 'nosuch'; valid: research" in place.complete()

        assert not list(place.results.glob("runs/*"))
        assert not (place.results / ".submissions").exists()


SLURMS_OWN = {
    "a_preempted_job_goes_on_from_its_last_save",
    "an_account_that_is_not_ours_is_refused_and_nothing_left",
}
"""Two nodes and commands that fail for a while: test_nodes_slurm.py, test_busy_slurm.py."""


def test_a_cluster_is_held_to_all_that_processes_are_and_more() -> None:
    assert names(TestSlurm) == names(ProcessContract) | SLURMS_OWN
