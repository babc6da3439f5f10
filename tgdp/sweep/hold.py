"""What every job does before and while it works: takes the run's lock, listens, speaks."""

import importlib
import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tgdp.sweep.state import read_state
from tgdp.sweep.stop import StopRequest, is_alive
from tgdp.training.run_directory import RunDirectory

LOCK_PATIENCE_S = 30.0
"""Loader processes of a killed run hold its lock for a moment longer than it lived."""

LOOK_EVERY_S = 0.5
"""Seconds between two looks at whether the sweep that started the job still lives."""


Function = Callable[..., Any]


class ShouldStop:
    """True once a signal came, or once the sweep that started this job is gone.

    A sweep killed with -9 cannot tell its jobs. They notice, save and end, so that no work goes on
    that nobody sees; the next launch takes them up where they were.
    """

    def __init__(self, stop: StopRequest, launcher: int) -> None:
        self._stop = stop
        self._launcher = launcher
        self._next_look = 0.0
        self._orphaned = False

    def __call__(self) -> bool:
        """Return whether to save and end."""
        now = time.monotonic()
        if self._launcher and now >= self._next_look:
            self._next_look = now + LOOK_EVERY_S
            self._orphaned = not is_alive(self._launcher)
        return self._stop() or self._orphaned


def speak() -> None:
    """Let progress and warnings be seen in what the process prints, which its log keeps."""
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, datefmt="%H:%M:%S", stream=sys.stdout)


@contextmanager
def hold(run: RunDirectory) -> Generator[bool, None, None]:
    """Take the lock of a run; yield whether it could be had."""
    from filelock import FileLock, Timeout

    run.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run.lock_file)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0.2)
        except Timeout:
            if read_state(run).state == "running" or time.monotonic() > deadline:
                break
    try:
        yield lock.is_locked
    finally:
        lock.release()


def function(name: str) -> Function:
    """Return what is called so, `module:function`; its module is loaded now."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def clear_away(run: RunDirectory) -> None:
    """Remove what killed processes left half written."""
    for path in (*run.path.glob("*.tmp"), *run.evaluations.glob("*.tmp")):
        # Another launch may be at one just now.
        if not is_being_written(path):
            path.unlink(missing_ok=True)


def is_being_written(path: Path) -> bool:
    """Return whether the process that a temporary file is named after is at work on this host."""
    parts = path.name.split(".")
    return len(parts) > 2 and parts[-2].isdigit() and is_alive(int(parts[-2]))
