"""Runs that ended badly, marked so that the next launch takes them up, from their last save or new.

Nothing is started here and nothing is deleted: `--from-scratch` moves the folder aside.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from tgdp.errors import UserError
from tgdp.sweep.cells import Named
from tgdp.sweep.lifetime import Cause, Life, look_now
from tgdp.sweep.state import read_state
from tgdp.sweep.trouble import cause_of
from tgdp.training.run_directory import RunDirectory, Status

Kind = Literal["failed", "timeout", "oom"]

ASIDE = "aside"

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A run that ended badly.

    Attributes:
        named: The run.
        life: How it is.
        cause: Why it ended.
    """

    named: Named
    life: Life
    cause: Cause

    def __str__(self) -> str:
        """Return it in words."""
        status = self.life.status
        step = f", step {status.step}/{status.total_steps}" if status.total_steps else ""
        why = f": {status.error}" if status.error else ""
        return f"{self.named.title}: {self.cause}{step}{why}"


def candidates(found: Sequence[Named], kinds: Iterable[Kind]) -> tuple[Candidate, ...]:
    """Return the runs that ended for one of some causes, and that nobody works on.

    Args:
        found: Runs.
        kinds: Causes. What failed for want of memory counts as failed too.
    """
    wanted = set(kinds)
    lives = look_now(named.run for named in found)
    chosen: list[Candidate] = []
    for named, life in zip(found, lives, strict=True):
        if not _is_left(life):
            continue
        cause = cause_of(life)
        is_failed = "failed" in wanted and (life.state == "failed" or cause == "failed")
        if cause in wanted or is_failed:
            chosen.append(Candidate(named, life, cause or "failed"))
    return tuple(chosen)


class Marked(NamedTuple):
    """What came of marking.

    Attributes:
        runs: Signatures of the runs that the next launch takes up.
        moved: Where folders were moved to.
    """

    runs: tuple[str, ...]
    moved: tuple[Path, ...]


def mark(runs: Sequence[Candidate], results: Path, from_scratch: bool) -> Marked:
    """Let the next launch take runs up, but for those that somebody has gone on with since.

    Args:
        runs: The runs.
        results: The results folder.
        from_scratch: Move what is there aside, so that they begin anew.

    Raises:
        UserError: A process works on one of them by now.
    """
    marked, moved = list[str](), list[Path]()
    # Looked at without their locks: who holds one is taken for a process that works on the run.
    before = [one.named.run.status() for one in runs]
    for status, life in zip(before, _again(runs), strict=True):
        run = life.run
        try:
            with FileLock(run.lock_file).acquire(timeout=0.2):
                if not _may_be_marked(life, status, from_scratch):
                    log.warning("%s: left alone, for somebody goes on with it, or may", run.path)
                    continue
                if from_scratch:
                    moved.append(_move_aside(run, results))
                else:
                    _let_go_on(life)
                marked.append(run.name)
        except Timeout as error:
            raise UserError(f"{run.path}: a process works on it; cancel it first") from error
    return Marked(tuple(marked), tuple(moved))


def _is_left(life: Life) -> bool:
    """Return whether a run was begun, is not done, and nobody goes on with it."""
    return not (life.active or life.state in {"running", "done", "new", "queued"})


def _again(runs: Sequence[Candidate]) -> tuple[Life, ...]:
    """Return how runs are by now; of their jobs only those are asked about that may not be over."""
    pairs = [(held.record.job, held.job) for one in runs for held in one.life.jobs]
    ended = {name: job for name, job in pairs if job is not None and not job.is_active}
    return look_now((one.named.run for one in runs), ended)


def _may_be_marked(life: Life, before: Status, from_scratch: bool) -> bool:
    """Return whether a run, whose lock we hold, is as it was before; and nobody goes on with it."""
    is_same = life.run.status() == before and read_state(life.run).state != "done"
    # A job that nobody can be asked about may wait, and go on from what would be moved.
    return is_same and _is_left(life) and (life.is_sure or not from_scratch)


def _let_go_on(life: Life) -> None:
    run, status = life.run, life.status
    if status.state == "new":
        return  # It never began: a launch takes it up as it is.
    cleared = replace(status, state="interrupted", error="", mendable=False, updated=time.time())
    run.set_status(cleared)
    run.append({"kind": "state", "state": "interrupted", "attempt": status.attempt, "retry": True})


def _move_aside(run: RunDirectory, results: Path) -> Path:
    folder = results / ASIDE
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = folder / f"{run.name}-{stamp}"
    return run.path.rename(target)
