"""Where a job runs: in this process (`debug`) or in one of its own (`local`), both by submitit.

submitit only starts processes here. Whether a run is done is read from its run directory: submitit
calls a job finished as soon as a process ends, however it ended.
"""

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tgdp.sweep.machine import THREAD_VARIABLES

if TYPE_CHECKING:
    from tgdp.training.run_directory import RunDirectory

Work = Callable[[], object]
"""A job, which can be pickled."""

Cluster = Literal["debug", "local"]

A_YEAR_MIN = 60 * 24 * 365
"""submitit ends a local job after five minutes if it is not told otherwise."""

KILL_PATIENCE_S = 5.0

KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 31),
    "MALLOC_TOP_PAD_": str(1 << 26),
}
"""glibc gives large arrays back to the system at every step and gets them again, page by page: on a
CPU that was a sixth of the time of a tiny run."""


class Handle(Protocol):
    """A job that was started."""

    def finished(self) -> bool:
        """Return whether its process has ended."""
        ...

    def stop(self) -> None:
        """Ask it to save and end."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Backend(Protocol):
    """A place where jobs run."""

    def start(self, job: Work, run: "RunDirectory", threads: int) -> Handle:
        """Start a job; returns when it runs, or with `debug` when it has ended."""
        ...


class DebugBackend:
    """Runs the job inside this process, where a debugger and a print can reach it."""

    def start(self, job: Work, run: "RunDirectory", threads: int) -> Handle:
        """Run the job to its end."""
        from submitit import DebugExecutor

        del threads  # the libraries read their number of threads when they loaded
        error = DebugExecutor(run.log).submit(job).exception()
        if error is not None:
            raise error
        return Over()


class LocalBackend:
    """Runs each job in a process of its own."""

    def start(self, job: Work, run: "RunDirectory", threads: int) -> Handle:
        """Start the job's process."""
        from submitit import LocalExecutor

        executor = LocalExecutor(run.log / "%j")
        executor.update_parameters(timeout_min=A_YEAR_MIN)
        with _environment(threads), _without_ctrl_c():
            return LocalHandle(executor.submit(job))


BACKENDS: dict[Cluster, type[Backend]] = {"debug": DebugBackend, "local": LocalBackend}


class Over:
    """A job that has ended already."""

    def finished(self) -> bool:
        """Return True."""
        return True

    def stop(self) -> None:
        """Do nothing: it has ended."""

    def kill(self) -> None:
        """Do nothing: it has ended."""


class LocalHandle:
    """A job in a process below one of submitit's controllers.

    Args:
        job: submitit's job; its id is the process number of the controller.
    """

    def __init__(self, job: Any) -> None:
        self._job = job
        self._controller = int(job.job_id)

    def finished(self) -> bool:
        """Return whether the controller, and so the job, has ended."""
        return bool(self._job.done())

    def stop(self) -> None:
        """Send SIGTERM, which the controller passes on.

        Its own `cancel` sends SIGINT, after which submitit leaves one second before it kills.
        """
        if not self.finished():
            os.kill(self._controller, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the job, then wait for the controller, which sees that and ends."""
        for pid in _children(self._controller):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + KILL_PATIENCE_S
        while not self.finished():
            if time.monotonic() > deadline:
                os.kill(self._controller, signal.SIGKILL)
            time.sleep(0.02)


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    except OSError:
        # Nothing to ask on this system: the job notices by itself that the sweep is gone.
        return []
    return [int(word) for word in text.split()]


@contextmanager
def _environment(threads: int) -> Generator[None, None, None]:
    changes = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), **KEEP_MEMORY}
    former = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_ctrl_c() -> Generator[None, None, None]:
    """Start processes that Ctrl-C in the terminal does not reach.

    A terminal sends it to every process in the foreground, and submitit's controller would kill its
    job one second later, before it has saved. Children inherit the blocked signal; here it comes
    through as soon as the block is lifted.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
