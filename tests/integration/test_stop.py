"""A request to stop, whenever it comes: the run saves at its next step boundary and ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kill_process import PATIENCE_S, Attempt, Hit, wait_for_steps
from same_run import differing, everything, final, measured, metrics
from small_run import CLIPS, FRAME, STEPS_PER_EPOCH, command, resolved, undisturbed

from tgdp.config import override
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow

STEPS = 4 * STEPS_PER_EPOCH
LONG = 20 * STEPS_PER_EPOCH
"""Steps of a run that is still at work when somebody has seen the first of them."""

AT = 2 * STEPS_PER_EPOCH
"""A step that is measured, saved and kept."""

PLACES = {
    "step": ("tgdp.training.learner:compute_losses", AT - 1, AT),
    "save": ("tgdp.training.checksum:put_in_place", AT, AT + 1),
    "evaluation": ("tgdp.evaluation.run:embed_clips", AT, AT + 1),
}
"""What is being done when the signal comes, after which boundary, and at which boundary it ends."""


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared(CLIPS, size=FRAME)


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run that nobody asked to stop."""
    return undisturbed(data, tmp_path_factory.mktemp("straight"), STEPS)


def same(run: RunDirectory, other: RunDirectory) -> None:
    assert run.status().state == "done"
    assert not differing(final(run), final(other))
    assert metrics(run) == metrics(other)
    assert measured(run) == measured(other)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "signals", [(signal.SIGTERM,), (signal.SIGUSR2,), (signal.SIGTERM, signal.SIGTERM)]
)
def test_a_signal_in_the_middle_of_anything_ends_at_the_next_boundary(
    data: Path, straight: RunDirectory, tmp_path: Path, place: str, signals: tuple[int, ...]
) -> None:
    where, boundary, end = PLACES[place]
    run, config = resolved(data, tmp_path, training__steps=STEPS)
    attempt = Attempt(run, config, Hit((where,), 1, signals, from_step=boundary))
    assert attempt.join() == 0
    status = run.status()
    assert (status.state, status.step, status.saved) == ("interrupted", end, end)
    assert attempt.steps[-1] == end
    assert Attempt(run, config).join() == 0
    same(run, straight)


def test_a_signal_before_the_first_step_leaves_nothing(
    data: Path, straight: RunDirectory, tmp_path: Path
) -> None:
    run, config = resolved(data, tmp_path, training__steps=STEPS)
    build = ("tgdp.training.trainer:build_learner",)
    assert Attempt(run, config, Hit(build, 1, (signal.SIGTERM,), from_step=-1)).join() == 0
    assert (run.status().state, list(run.checkpoints.iterdir())) == ("interrupted", [])
    assert Attempt(run, config).join() == 0
    same(run, straight)
    assert not differing(everything(run), everything(straight))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR2", "SIGHUP"])
def test_a_signal_to_the_whole_group_leaves_the_loader_at_work(
    data: Path, straight: RunDirectory, tmp_path: Path, name: str
) -> None:
    """As torchrun and SLURM send it, and a terminal: to the loader's processes too."""
    run, config = resolved(data, tmp_path, training__steps=STEPS)
    helped = override(config, {"runtime.num_workers": 2})
    attempt = Attempt(run, helped, led=True)
    assert attempt.go(AT)
    os.killpg(attempt.pid, getattr(signal, name))
    time.sleep(0.1)  # a loader process that is not deaf has ended by then
    attempt.release()
    assert attempt.join() == 0, run.status().error
    assert (run.status().state, run.status().saved) == ("interrupted", AT - 1)
    assert Attempt(run, config).join() == 0
    same(run, straight)


def test_the_real_job_and_the_real_command_are_asked_to_stop(data: Path, tmp_path: Path) -> None:
    straight = undisturbed(data, tmp_path / "straight", LONG)
    run, config = resolved(data, tmp_path, training__steps=LONG)
    words = [sys.executable, *command(data, tmp_path, training__steps=LONG)]
    for to_job, number, code in ((True, "SIGUSR2", 1), (False, "SIGTERM", 130)):
        former = run.status()
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            wait_for_steps(run, former.attempt + 1)
            os.kill(run.status().pid if to_job else process.pid, getattr(signal, number))
            output, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == code, output
        status = run.status()
        assert (status.state, status.error) == ("interrupted", "")
        assert former.saved < status.saved == status.step < LONG
    assert Attempt(run, config).join() == 0
    same(run, straight)
