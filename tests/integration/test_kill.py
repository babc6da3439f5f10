"""`kill -9` at random moments, in the middle of saves, and of the real command: nothing is lost."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kill_process import PATIENCE_S, Attempt, Hit, wait_for, wait_for_steps
from same_run import differing, everything, measured, metrics
from small_run import CLIPS, FRAME, STEPS_PER_EPOCH, command, resolved, undisturbed

from tgdp.config import override
from tgdp.sweep.state import read_state
from tgdp.training import checksum, retention
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.slow

STEPS = 42
KILLS = 24
"""Of forked processes; those of the command come on top."""
STARTING = (3, 9, 14, 19)
"""Kills of a process that may not have begun to train."""
WITH_WORKERS = (7, 15)
"""Kills of a run with two loader processes."""
AIMED = (4, 10, 12, 17, 20, 22)
"""Kills that wait for a temporary file."""
COMMAND = (6, 14, 21)
"""Before these, the real command is killed."""
FARTHEST = 3
"""Steps that an attempt completes before it is killed, at most."""
ON_DISK = ("os:replace", "os:link", "os:unlink")
"""What changes the files that a process finds which comes after."""


class Kill(NamedTuple):
    """What a kill hit, and what it left."""

    how: str
    seconds: float
    step: int
    newest: int
    left: list[str]

    def line(self, number: int) -> str:
        """Return its line in the log."""
        words = f"{number:2d}  {self.how:<18} {self.seconds:6.2f} s  step {self.step:2d}  "
        return words + f"newest checkpoint {self.newest:2d}  {' '.join(self.left) or '-'}"


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared(CLIPS, size=FRAME)


@pytest.fixture(scope="module")
def straight(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run of which nobody thought ill."""
    return undisturbed(data, tmp_path_factory.mktemp("straight"), STEPS)


def test_many_kills_change_nothing(data: Path, straight: RunDirectory, tmp_path: Path) -> None:
    run, config = resolved(data, tmp_path, training__steps=STEPS)
    rng = random.Random(20260408)
    kills: list[Kill] = []
    for number in range(1, KILLS + 1):
        if number in COMMAND:
            kills.append(kill_command(data, tmp_path, run, COMMAND.index(number)))
        workers = 2 if number in WITH_WORKERS else 0
        attempt = Attempt(run, override(config, {"runtime.num_workers": workers}), led=True)
        if number in STARTING:
            kills.append(kill_at_the_start(attempt, rng))
        elif number in AIMED:
            kills.append(kill_in_a_save(attempt, rng))
        else:
            how = f"{workers} workers" if workers else "anywhere"
            kills.append(kill_anywhere(attempt, rng, how))
        log = "\n".join(kill.line(number) for number, kill in enumerate(kills, 1))
        (tmp_path / "kills.txt").write_text(log + "\n")
    assert Attempt(run, config).join() == 0
    print(f"\n{log}")  # noqa: T201 (to be read with -s)

    assert sum(bool(kill.left) for kill in kills) >= 4
    same(run, straight)
    attempts = [event["attempt"] for event in run.events() if event.get("state") == "running"]
    assert attempts == sorted(set(attempts))


def same(run: RunDirectory, other: RunDirectory) -> None:
    """Hold a run that was killed against one that was not."""
    assert not differing(everything(run), everything(other))
    assert metrics(run) == metrics(other)
    assert measured(run) == measured(other)
    assert left_by_a_kill(run) == []
    assert {path.name for path in run.path.iterdir()} == {
        path.name for path in other.path.iterdir()
    }
    status, theirs = run.status(), other.status()
    assert (status.state, status.step, status.saved) == ("done", theirs.step, theirs.saved)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def kill_at_the_start(attempt: Attempt, rng: random.Random) -> Kill:
    time.sleep(rng.uniform(0, 0.7))
    return killed(attempt, "at the start")


def kill_anywhere(attempt: Attempt, rng: random.Random, how: str) -> Kill:
    """Kill it at any moment of a step: its update, its evaluation, its save."""
    assert attempt.go(1 + rng.randint(0, FARTHEST))
    attempt.release()
    is_measured = (attempt.steps[-1] + 1) % STEPS_PER_EPOCH == 0
    time.sleep(rng.uniform(0, 0.3 if is_measured else 0.08))
    return killed(attempt, how)


def kill_in_a_save(attempt: Attempt, rng: random.Random) -> Kill:
    """Kill it as soon as there is a temporary file in its checkpoints."""
    assert attempt.go(2 + rng.randint(0, FARTHEST - 1))
    attempt.release()
    while not any(attempt.run.checkpoints.glob("*.tmp")):
        if attempt.hears():
            attempt.release()
    return killed(attempt, "in a save")


def killed(attempt: Attempt, how: str) -> Kill:
    seconds = attempt.kill()
    step = attempt.steps[-1] if attempt.steps else 0
    return what_is_left(attempt.run, how, seconds, step)


def what_is_left(run: RunDirectory, how: str, seconds: float, step: int) -> Kill:
    newest = retention.paths(run.checkpoints)
    at = retention.step_of(newest[0]) if newest else 0
    return Kill(how, seconds, step, at, left_by_a_kill(run))


def left_by_a_kill(run: RunDirectory) -> list[str]:
    """Return what no save leaves that was finished."""
    found = [path.name for path in run.checkpoints.glob("*.tmp")]
    for path in run.checkpoints.glob("*.sha256"):
        of = path.with_suffix("")
        if not of.exists():
            found.append(f"{path.name}, alone")
        elif len(checksum.stored(of) or ()) != 1:
            found.append(f"{path.name}, of two")
    return found


def kill_command(data: Path, results: Path, run: RunDirectory, number: int) -> Kill:
    """Kill the process of the command, that of its job, or all of them."""
    attempt = run.status().attempt + 1
    words = [sys.executable, *command(data, results, training__steps=STEPS)]
    started = time.monotonic()
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.PIPE, text=True) as it:
        wait_for_steps(run, attempt, 2)
        step, job = run.status().step, run.status().pid
        seconds = time.monotonic() - started
        if number == 0:
            it.kill()
        elif number == 1:
            os.kill(job, signal.SIGKILL)
        else:
            os.killpg(it.pid, signal.SIGKILL)
        output, _ = it.communicate(timeout=PATIENCE_S)
    # A job whose command is gone saves and ends.
    wait_for(lambda: read_state(run).state == "interrupted")
    if number == 1:
        assert it.returncode == 1
        assert "its process ended before the run was done" in output
    how = ("command", "job of command", "command and job")[number]
    return what_is_left(run, how, seconds, step)


def test_no_operation_on_the_disk_is_one_to_die_at(prepared, tmp_path: Path) -> None:
    """Kill the last step and all that follows at its first operation, its second, and so on."""
    few, last = prepared(CLIPS[:6], size=FRAME), 4  # steps, and epochs
    words = {"runtime__save_every": 1, "runtime__evaluate_every": 2}
    begun, config = resolved(few, tmp_path, training__steps=last, **words)
    assert Attempt(begun, config, Hit(ON_DISK, 1, from_step=last)).join() < 0
    # So that the last one is better whatever it is, and takes the place of this one.
    record = begun.checkpoints / "best.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "value": -1.0}))
    straight = copied(begun, tmp_path / "straight")
    assert Attempt(straight, config).join() == 0
    for call in itertools.count(1):
        run = copied(begun, tmp_path / str(call))
        code = Attempt(run, config, Hit(ON_DISK, call, from_step=last - 1)).join()
        assert Attempt(run, config).join() == 0
        same(run, straight)
        if code == 0:
            break
    # Writing a checkpoint, its record and its checksums are more than these.
    assert call > 15


def copied(run: RunDirectory, to: Path) -> RunDirectory:
    return RunDirectory(Path(shutil.copytree(run.path, to / run.name)))
