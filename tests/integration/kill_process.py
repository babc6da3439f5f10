"""A run in a process of its own that is led, hit by signals where it hurts, and killed.

The processes are forked by one that has torch loaded and has computed nothing: a start costs a
fraction of a second, and no thread is lost by the fork.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, Protocol

# What the first optimiser loads; otherwise every process would load it for itself.
import torch._dynamo  # noqa: F401  # pyright: ignore[reportUnusedImport]

import tgdp.evaluation.run as evaluation
from tgdp.config import Config, dump
from tgdp.sweep.job import Job
from tgdp.training.run_directory import RunDirectory

HERE = Path(__file__).parent
PATIENCE_S = 120.0


class Trick(Protocol):
    """Something that is done to a process before it begins to work."""

    def arm(self) -> None:
        """Do it, in that process."""
        ...


class Hit(NamedTuple):
    """Signals that a process sends itself just before it calls a function.

    Attributes:
        places: `module:name` of functions whose calls are counted together.
        call: Which call, from 1.
        signals: What is sent.
        from_step: Calls count from the step boundary on at which so many steps were taken.
    """

    places: tuple[str, ...]
    call: int = 1
    signals: tuple[int, ...] = (signal.SIGKILL,)
    from_step: int = 0

    def arm(self) -> None:
        """Put a count before each of the functions."""
        left = [self.call]
        for place in self.places:
            module, _, name = place.partition(":")
            owner = importlib.import_module(module)
            setattr(owner, name, self._counted(getattr(owner, name), left))

    def _counted(self, real: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            left[0] -= _line.step >= self.from_step
            if left[0] == 0:
                left[0] = -1
                for number in self.signals:
                    os.kill(os.getpid(), number)
            return real(*args, **more)

        return counted


class Attempt:
    """A process that works on a run and tells its parent of every step boundary.

    Args:
        run: Its folder.
        config: The run.
        trick: What is done to it first.
        led: Whether it waits at each boundary until it is let go on.
        environment: Variables that it has beside its parent's.
    """

    def __init__(
        self,
        run: RunDirectory,
        config: Config,
        trick: Trick | None = None,
        *,
        led: bool = False,
        environment: dict[str, str] | None = None,
    ) -> None:
        _ensure_server()
        self.run = run
        self.steps: list[int] = []
        self.started = time.monotonic()
        self._led = led
        self._pipe, theirs = context.Pipe()
        words = (str(run.path), dump(config), theirs, trick, led, environment or {})
        self._process = context.Process(target=_work, args=words)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def go(self, boundaries: int) -> bool:
        """Let it go on until it has come to so many boundaries more; return whether it has.

        It has not if it ended before. One that is led waits at the last of them.
        """
        deadline = time.monotonic() + PATIENCE_S
        for _ in range(boundaries):
            if self._led and self.steps:
                self.release()
            while not self._hear():
                assert time.monotonic() < deadline, "waited in vain"
                if not self._process.is_alive():
                    return False
        return True

    def release(self) -> None:
        """Let it go on from the boundary at which it waits."""
        self._pipe.send(None)

    def hears(self) -> bool:
        """Return whether it has come to another boundary."""
        return self._hear(0)

    def kill(self) -> float:
        """Kill it with -9; return the seconds it lived."""
        os.kill(self.pid, signal.SIGKILL)
        seconds = time.monotonic() - self.started
        self.join()
        return seconds

    def join(self) -> int:
        """Return its exit code, once it has ended; a negative one is the signal that killed it."""
        self._process.join(PATIENCE_S)
        code = self._process.exitcode
        assert code is not None, "waited in vain"
        while self._hear(0):
            pass
        return code

    def _hear(self, seconds: float = 0.05) -> bool:
        try:
            if not self._pipe.poll(seconds):
                return False
            self.steps.append(self._pipe.recv())
        except (EOFError, ConnectionResetError):
            return False
        return True


class _Line:
    """What connects this process with its parent, and the step it is at."""

    def __init__(self) -> None:
        self.pipe: Connection | None = None
        self.led = False
        self.step = -1


_line = _Line()


def execute(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    """Do what a job does, and tell of every step boundary."""

    def told() -> bool:
        _line.step = run.status().step if _line.step < 0 else _line.step + 1
        if _line.pipe is not None:
            _line.pipe.send(_line.step)
            if _line.led:
                _line.pipe.recv()
        return should_stop()

    return evaluation.execute(run, config, told)


def _work(
    directory: str,
    config: str,
    pipe: Connection,
    trick: Trick | None,
    led: bool,
    environment: dict[str, str],
) -> None:
    # What the loader's processes are started by in a job; this one inherits its parent's choice.
    multiprocessing.set_start_method("fork", force=True)
    _line.pipe, _line.led = pipe, led
    os.setpgid(0, 0)  # so that it can be sent what a launcher sends to a whole group
    os.environ.update(environment)
    folder = Path(directory)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".txt").open("a") as printed:
        os.dup2(printed.fileno(), sys.stdout.fileno())
        os.dup2(printed.fileno(), sys.stderr.fileno())
    if trick is not None:
        trick.arm()
    state = Job(directory, config, "kill_process:execute")()
    sys.exit(0 if state in ("done", "interrupted", None) else 1)


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: It took too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_steps(run: RunDirectory, attempt: int, steps: int = 3) -> None:
    """Wait until an attempt, counted from 1, has taken some steps of its own."""

    def has() -> bool:
        taken, is_own = 0, False
        for event in run.events():
            if event.get("state") == "running":
                is_own = event["attempt"] >= attempt
            elif event["kind"] == "metric" and "train/loss/total" in event["values"]:
                taken += is_own
        return taken >= steps

    wait_for(has)


context = multiprocessing.get_context("forkserver")


def _ensure_server() -> None:
    """Start the process that the others are forked from, with this module loaded."""
    former = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(HERE), former)))
    context.set_forkserver_preload(["__main__", "kill_process"])
    forkserver.ensure_running()
    if former is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = former
