"""Runs that are to stop: on a cluster by `scancel`, here by the signal that makes them save."""

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from tgdp.errors import UserError
from tgdp.sweep.cells import Named
from tgdp.sweep.lifetime import Life, look_now
from tgdp.sweep.slurm.command import call
from tgdp.sweep.state import is_held
from tgdp.training.run_directory import RunDirectory, Status


class Stoppable(NamedTuple):
    """A run that waits or runs, and what is to be stopped of it.

    Attributes:
        named: The run.
        life: How it is.
        jobs: SLURM's jobs.
        process: Process of this machine; 0 where there is none.
        obstacle: Why it cannot be stopped from here; empty where it can.
    """

    named: Named
    life: Life
    jobs: tuple[str, ...] = ()
    process: int = 0
    obstacle: str = ""

    def __str__(self) -> str:
        """Return it in words."""
        what = ", ".join((*self.jobs, *([f"process {self.process}"] if self.process else [])))
        return f"{self.named.title}: {self.life.state}, {self.obstacle or what}"


def stoppable(found: Sequence[Named]) -> tuple[Stoppable, ...]:
    """Return which of some runs wait or run."""
    lives = look_now(named.run for named in found)
    both = zip(found, lives, strict=True)
    every = [_of(named, life) for named, life in both]
    return tuple(one for one in every if one.jobs or one.process or one.obstacle)


def stop(runs: Sequence[Stoppable]) -> None:
    """Stop what can be stopped from here; what runs saves first.

    Raises:
        UserError: `scancel` fails; what it says is in the message.
    """
    jobs = [job for one in runs for job in one.jobs]
    if jobs:
        _scancel(jobs)
    for one in runs:
        if one.process and is_held(one.named.run):
            os.kill(one.process, signal.SIGTERM)


def _of(named: Named, life: Life) -> Stoppable:
    jobs = tuple(job.job for job in life.active)
    status = life.status
    if jobs or not is_at_work(named.run, life.state, status):
        return Stoppable(named, life, jobs)
    if status.host != os.uname().nodename:
        return Stoppable(named, life, obstacle=f"runs on {status.host}: cancel it there")
    return Stoppable(named, life, process=status.pid)


def is_at_work(run: RunDirectory, state: str, status: Status) -> bool:
    """Return whether a process works on a run, as far as can be seen from here."""
    if status.host == os.uname().nodename:
        return status.state == "running" and is_held(run)
    return state == "running"


def _scancel(jobs: Sequence[str]) -> None:
    try:
        done = call("scancel", *jobs)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"scancel: {error}; the jobs are {', '.join(jobs)}") from error
    if done.returncode:
        raise UserError(f"scancel {' '.join(jobs)}: {done.stderr.strip()}")
