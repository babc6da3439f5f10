"""Waiting for the jobs of a plan, for whoever does not want the command to return at once."""

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.slurm.jobs import read
from tgdp.sweep.slurm.scheduler import ask_about, polite
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import ENDED_BADLY

PAUSE_S = 5.0

QUIET_LOOKS = 3
"""Looks in a row that find no job in the queue: it may not answer, or just queue one again."""


class Look(NamedTuple):
    """How the jobs are at a moment.

    Attributes:
        pending: Jobs that wait.
        running: Jobs that run, or are about to begin or end.
        done: Runs that are done, with all that was asked of them.
        ended: Runs that ended badly.
        runs: Runs that are waited for.
        queue_answered: Whether the queue answered. If not, more jobs may be pending.
    """

    pending: int
    running: int
    done: int
    ended: int
    runs: int
    queue_answered: bool = True

    def __str__(self) -> str:
        """Return it in words."""
        bad = f", {self.ended} failed" if self.ended else ""
        jobs = f"{self.running} jobs running, {self.pending} pending"
        silent = "" if self.queue_answered else "; the queue does not answer"
        return f"{self.done} of {self.runs} runs done{bad}; {jobs}{silent}"


def wait(runs: Iterable[PlannedRun], show: Callable[[Look], None]) -> None:
    """Return once no job of some runs is in the queue any more.

    Args:
        runs: The runs.
        show: Called whenever something has changed.
    """
    runs, last, quiet = tuple(runs), None, 0
    while quiet < QUIET_LOOKS:
        now = look(runs)
        if now != last:
            show(now)
            last = now
        active = now.pending + now.running
        # Only the queue can say that nothing waits in it: it may also be for an evaluation of a run
        # that is done, or for one more try.
        is_quiet = now.queue_answered and not active
        if is_quiet and now.done + now.ended == now.runs:
            return
        quiet = quiet + 1 if is_quiet else 0
        time.sleep(polite(PAUSE_S, active))


def look(runs: Iterable[PlannedRun]) -> Look:
    """Return how the jobs of some runs are, by one question to the scheduler."""
    runs = tuple(runs)
    known = ask_about(job for run in runs for job in read(run.run))
    active = [job for job in known.values() if job.is_active]
    pending = sum(job.state == "PENDING" for job in active)
    states = [read_state(run.run).state for run in runs]
    done, ended = states.count("done"), sum(state in ENDED_BADLY for state in states)
    running = len(active) - pending
    return Look(pending, running, done, ended, len(runs), known.queue_answered)
