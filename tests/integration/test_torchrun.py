"""Whole runs of several ranks, by torchrun and by submitit: as one process, and as hard to kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kill_process import PATIENCE_S, Attempt, Hit, wait_for, wait_for_steps
from many_ranks import free_port, loopback, on_ranks
from poison import Poison
from same_run import measured, metrics
from small_run import CLIPS, FRAME, command, resolved
from test_ranks import difference, known

from tgdp.config import dump
from tgdp.sweep.job import Job
from tgdp.sweep.state import read_state
from tgdp.training import checkpoint
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow

STEPS = 30
# As in the tests of ranks: a higher rate shows what Adam makes of rounding.
CHANGES: dict[str, Any] = {"training__steps": STEPS, "training__learning_rate": 1e-4}
LIMIT = 1e-5


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared(CLIPS, size=FRAME)


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run of one process that nothing disturbed."""
    run, config = resolved(data, tmp_path_factory.mktemp("straight"), **CHANGES)
    assert Attempt(run, config).join() == 0
    return run


def apart(run: RunDirectory, other: RunDirectory) -> dict[str, float]:
    """Return by how much two runs differ at most, in what they learned and what they wrote down."""
    ours, theirs = (checkpoint.load_newest(each.checkpoints) for each in (run, other))
    assert ours is not None
    assert theirs is not None
    assert (run.status().state, ours["step"], ours["lost"]) == ("done", STEPS, theirs["lost"])
    assert [step for step, _ in metrics(run)] == [step for step, _ in metrics(other)]
    found = {
        name: difference(known(ours[name]), known(theirs[name])) for name in ("student", "teacher")
    }
    moments = (each["optimizer"]["state"] for each in (ours, theirs))
    found["optimizer"] = difference(*moments)
    pairs = zip(metrics(run), metrics(other), strict=True)
    found["metrics"] = max(largest(one, two) for (_, one), (_, two) in pairs)
    found["result"] = largest(measured(run), measured(other))
    return found


def largest(ours: dict[str, float], theirs: dict[str, float]) -> float:
    assert ours.keys() == theirs.keys()
    return max(abs(ours[name] - theirs[name]) / max(1, abs(theirs[name])) for name in ours)


def alike(run: RunDirectory, other: RunDirectory, what: str) -> None:
    found = apart(run, other)
    print(what, {name: f"{value:.1e}" for name, value in found.items()})  # noqa: T201
    assert max(found.values()) <= LIMIT, found


@contextmanager
def torchrun(data: Path, results: Path, *options: str, **more: Any) -> Iterator[subprocess.Popen]:
    """Start two ranks as a user would."""
    words = ["-m", "torch.distributed.run", *(options or ("--standalone",)), "--nproc-per-node=2"]
    words = [sys.executable, *words, *command(data, results, **CHANGES, **more)]
    with (results / "printed.txt").open("a") as printed:
        process = subprocess.Popen(
            words, stdout=printed, stderr=printed, env=os.environ | loopback()
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def rank_of(process: subprocess.Popen, rank: int) -> int:
    """Return the number of the process that is a rank of torchrun's."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        if f"RANK={rank}" in Path(f"/proc/{child}/environ").read_text().split("\0"):
            return int(child)
    raise AssertionError(f"no rank {rank} among {children}")


def test_two_ranks_of_torchrun_give_what_one_process_gives(data, straight, tmp_path):
    run, config = resolved(data, tmp_path, **CHANGES)
    with torchrun(data, tmp_path, "--master-port", str(free_port())) as process:
        assert process.wait(PATIENCE_S) == 0, (tmp_path / "printed.txt").read_text()
    assert "median rank" in (tmp_path / "printed.txt").read_text()
    alike(run, straight, "torchrun, 2 ranks")
    # Nothing is left to do, and all ranks see that.
    before = run.status()
    assert on_ranks(run, config, 2, {}) == [0, 0]
    assert run.status() == before


def test_a_signal_to_one_rank_stops_both_and_one_process_goes_on(data, straight, tmp_path):
    run, config = resolved(data, tmp_path, **CHANGES)
    with torchrun(data, tmp_path) as process:
        wait_for_steps(run, 1)
        os.kill(rank_of(process, 1), signal.SIGTERM)
        process.wait(PATIENCE_S)
    status = run.status()
    assert (status.state, status.error) == ("interrupted", "")
    assert 0 < status.saved == status.step < STEPS
    assert Attempt(run, config).join() == 0
    alike(run, straight, "torchrun, SIGTERM to rank 1, then 1 process")


def test_ranks_and_torchrun_are_killed_and_every_start_goes_on(data, straight, tmp_path):
    run, config = resolved(data, tmp_path, **CHANGES)
    with torchrun(data, tmp_path) as process:
        wait_for_steps(run, 1)
        os.kill(rank_of(process, 1), signal.SIGKILL)
        assert process.wait(PATIENCE_S) == 1
    first = read_state(run)
    assert first.state == "interrupted"
    with torchrun(data, tmp_path) as process:
        wait_for_steps(run, 2)
        process.kill()
        process.wait()
        # Ranks that nobody waits for any more save and end.
        wait_for(lambda: read_state(run).state == "interrupted")
    second = read_state(run)
    assert STEPS > second.saved == second.step > first.saved
    with torchrun(data, tmp_path, runtime__num_workers=1) as process:
        wait_for_steps(run, 3)
        process.terminate()  # which it sends to the whole group of each rank
        process.wait(PATIENCE_S)
    third = read_state(run)
    assert (third.state, third.error) == ("interrupted", "")
    assert STEPS > third.saved == third.step > second.saved
    assert Attempt(run, config).join() == 0
    alike(run, straight, "torchrun, killed thrice, then 1 process")


def test_a_rank_that_fails_says_why(data, tmp_path):
    run, config = resolved(data, tmp_path, **CHANGES)
    assert on_ranks(run, config, 2, {1: Poison("error", (3,))}) == [1, 1]
    status = run.status()
    assert status.state == "failed"
    assert "on another rank: " in status.error
    assert "the shard is cut short" in status.error


def test_ranks_come_and_go(data, straight, tmp_path):
    run, config = resolved(data, tmp_path, **CHANGES)
    compute = ("tgdp.training.learner:compute_losses",)
    for world, rank, stop in ((1, 0, 4), (2, 0, 9), (3, 2, 15), (2, 1, 20)):
        hit = Hit(compute, 1, (signal.SIGTERM,), from_step=stop - 1)
        assert on_ranks(run, config, world, {rank: hit}) == [0] * world
        assert (run.status().state, run.status().saved) == ("interrupted", stop)
    assert on_ranks(run, config, 3, {}) == [0, 0, 0]
    alike(run, straight, "1, 2, 3, 2, 3 ranks by turns")


def test_submitit_starts_two_tasks_and_stops_both(data, straight, tmp_path):
    from submitit import LocalExecutor

    run, config = resolved(data, tmp_path, **CHANGES)
    executor = LocalExecutor(tmp_path / "jobs" / "%j")
    executor.update_parameters(tasks_per_node=2, timeout_min=10)
    job = executor.submit(Job(str(run.path), dump(config)))
    wait_for_steps(run, 1)
    os.kill(int(job.job_id), signal.SIGTERM)  # which passes it on to both
    assert job.results() == ["interrupted", None]
    assert 0 < run.status().saved == run.status().step < STEPS
    assert on_ranks(run, config, 2, {}) == [0, 0]
    alike(run, straight, "submitit, 2 tasks, SIGTERM, 2 ranks")
