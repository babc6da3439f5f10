"""Commands of a real SLURM that fail for a while: asked again, and nothing is there twice."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_sweep import STEPS, ClusterSweep, reached, settled
from testbed_session import Testbed, wait_for

from tgdp.sweep.lifetime import look
from tgdp.sweep.slurm import command, jobs, sbatch

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

RUNNING = ["RUNNING", "PENDING"]
"""The training, and the evaluation that waits for it."""

FAILING = """\
#!/bin/sh
[ -s {left} ] || exec {real} "$@"
sed -i 1d {left}
{first}
echo '{name}: error: Socket timed out on send/recv operation' >&2
exit 1
"""


class Busy:
    """Commands that stand before SLURM's own, and fail as often as they are told to.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fail(self, name: str, times: int, is_taken: bool = False) -> None:
        """Let a command fail some times; if `sbatch` is taken, only its answer is lost."""
        self.folder.mkdir(exist_ok=True)
        real = shutil.which(name, path=os.environ["PATH"].partition(os.pathsep)[2])
        # Held, so that what is to be cancelled does not end by itself.
        first = f'{real} --hold "$@" > {self.folder}/answer' if is_taken else ""
        left, path = self.folder / f"{name}.left", self.folder / name
        left.write_text("once more\n" * times)
        path.write_text(FAILING.format(left=left, real=real, first=first, name=name))
        path.chmod(0o755)

    def is_over(self, name: str) -> bool:
        """Return whether a command has failed as often as it was told to."""
        return not (self.folder / f"{name}.left").read_text()


@pytest.fixture
def toy(
    testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ClusterSweep]:
    sweep = ClusterSweep(tmp_path, testbed)
    sweep.prepare(monkeypatch)
    monkeypatch.setattr(sbatch, "WAITS_S", (0.1, 0.1, 0.1))
    monkeypatch.setattr(command, "WAITS_S", (0.1, 0.1))
    monkeypatch.setenv("PATH", f"{tmp_path / 'busy'}{os.pathsep}{os.environ['PATH']}")
    yield sweep
    testbed.empty()


def test_a_submission_is_tried_again_and_what_was_taken_is_not_there_twice(
    toy: ClusterSweep, testbed: Testbed
) -> None:
    busy = Busy(toy.folder / "busy")
    busy.fail("sbatch", times=3, is_taken=True)

    assert toy.submit() == 0

    assert busy.is_over("sbatch")
    queue = testbed.ask("squeue", "--noheader", "-r", "--format=%i").split()
    assert sorted(queue) == sorted([*toy.numbers("train"), *toy.numbers("evaluate")])
    toy.go()
    for run in toy.runs():
        assert settled(run, "done") == "done"
        assert toy.steps(run) == list(range(1, STEPS + 1))
        assert run.status().attempt == 2


def test_questions_are_asked_again_and_a_queue_without_accounts_is_enough(
    toy: ClusterSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    busy = Busy(toy.folder / "busy")
    toy.submit()
    run = toy.runs()[0]
    wait_for(reached(run, 3))
    for name, times in (("sacct", 2), ("squeue", 2), ("sacct", 99)):
        busy.fail(name, times)

        # As `status` sees it, and as the next launch does.
        (life,) = look([(run, run.status())])
        assert (life.state, [found.state for found in life.active]) == ("running", RUNNING), name
        assert toy.submit() == 0
        assert "2 runs are queued or running already" in capsys.readouterr().out
        assert len(jobs.read(run)) == 2
    assert busy.is_over("squeue")
