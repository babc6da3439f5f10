"""A study on a real SLURM: two jobs at once, one cancelled as it falls behind, a command gone."""

import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from cluster_sweep import PROFILE
from testbed_session import Testbed

from tgdp.sweep.slurm import jobs
from tgdp.training.run_directory import RunDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from study_bench import StudyBench, end, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ON_SLURM = ("--grid", "--jobs", "2", "--slurm", "own")


@pytest.fixture
def bench(
    testbed: Testbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Generator[StudyBench, None, None]:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "own.yaml").write_text(PROFILE)
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path / "profiles"))
    monkeypatch.setenv("FAKE_FOLDER", str(tmp_path))
    for name, value in testbed.cluster.environment().items():
        monkeypatch.setenv(name, value)
    made = StudyBench(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    left = testbed.ask("squeue", "--noheader", "--format=%A").split()
    if left:
        testbed.run("scancel", *left)
        wait_for(lambda: not testbed.ask("squeue", "--noheader", "--format=%A").split())


def runs(bench: StudyBench) -> list[RunDirectory]:
    return [RunDirectory(path) for path in sorted(bench.results.glob("runs/*/"))]


def test_trials_are_jobs_and_one_that_falls_behind_is_cancelled(
    bench: StudyBench, testbed: Testbed
) -> None:
    # Its job waits until it is told to stop, so only pruning ends this study.
    (bench.folder / "slow-0.05").touch()
    code, output = bench.run(*ON_SLURM, "--prune")
    assert code == 0, output
    assert bench.states() == {"complete": 4, "pruned": 1}
    assert bench.runs() == {"done": 4, "interrupted": 1}
    assert "2 trials at once, profile 'own'." in output
    assert "t004: pruned after epoch" in output

    pruned = next(run for run in runs(bench) if not run.result_file.exists())
    for record in jobs.read(pruned):
        testbed.wait(record.job, "CANCELLED")
    assert all(
        [one.stage for one in jobs.read(run)] == ["train", "evaluate"] for run in runs(bench)
    )


def test_jobs_go_on_without_the_command_and_the_next_one_finds_them(bench: StudyBench) -> None:
    (bench.folder / "hold").touch()
    process = bench.start(*ON_SLURM, "--trials", "2")
    wait_for(bench.held(2))
    os.killpg(process.pid, signal.SIGINT)
    code, output = end(process)
    assert code == 130, output
    assert "the jobs go on" in output
    assert bench.states() == {"running": 2}

    (bench.folder / "hold").unlink()
    wait_for(lambda: bench.runs() == {"done": 2})
    code, output = bench.run(*ON_SLURM, "--trials", "2")
    assert code == 0, output
    assert bench.states() == {"complete": 2}
    assert [len(jobs.read(run)) for run in runs(bench)] == [2, 2]
    assert [run.status().attempt for run in runs(bench)] == [2, 2]
