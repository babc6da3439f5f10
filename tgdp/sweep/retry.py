"""Runs that ended badly, marked so that the next launch takes them up, from their last save or new.

Nothing is started here and nothing is deleted: `--from-scratch` moves the folder aside.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from tgdp.errors import UserError
from tgdp.sweep.cells import Named
from tgdp.sweep.job_logs import attempts
from tgdp.sweep.lifetime import Cause, Life, look
from tgdp.sweep.state import read_state

Kind = Literal["failed", "timeout", "oom"]

ASIDE = "aside"

TAIL_BYTES = 8_192

KILLED_FOR_MEMORY = ("exceeded memory limit", "oom-kill", "oom_kill", "Out Of Memory", "bad_alloc")
"""How SLURM and the system say it in what a job printed."""


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
    lives = look([(named.run, read_state(named.run)) for named in found])
    chosen: list[Candidate] = []
    for named, life in zip(found, lives, strict=True):
        if life.active or life.state in {"running", "done", "new", "queued"}:
            continue
        cause = _cause(life)
        is_failed = "failed" in wanted and (life.state == "failed" or cause == "failed")
        if cause in wanted or is_failed:
            chosen.append(Candidate(named, life, cause or "failed"))
    return tuple(chosen)


def mark(runs: Sequence[Candidate], results: Path, from_scratch: bool) -> tuple[Path, ...]:
    """Let the next launch take runs up.

    Args:
        runs: The runs.
        results: The results folder.
        from_scratch: Move what is there aside, so that they begin anew.

    Returns:
        Where folders were moved to.

    Raises:
        UserError: A process works on one of them by now.
    """
    moved: list[Path] = []
    for one in runs:
        run = one.named.run
        lock = FileLock(run.lock_file)
        try:
            with lock.acquire(timeout=0.2):
                if from_scratch:
                    moved.append(_move_aside(one, results))
                else:
                    _let_go_on(one)
        except Timeout as error:
            raise UserError(f"{run.path}: a process works on it; cancel it first") from error
    return tuple(moved)


def _let_go_on(one: Candidate) -> None:
    run, status = one.named.run, one.life.status
    if status.state == "new":
        return  # It never began: a launch takes it up as it is.
    cleared = replace(status, state="interrupted", error="", mendable=False, updated=time.time())
    run.set_status(cleared)
    run.append({"kind": "state", "state": "interrupted", "attempt": status.attempt, "retry": True})


def _move_aside(one: Candidate, results: Path) -> Path:
    folder = results / ASIDE
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    target = folder / f"{one.named.run.name}-{stamp}"
    return one.named.run.path.rename(target)


def _cause(life: Life) -> Cause:
    """Return why a run ended; where the scheduler knows too little, by what it printed."""
    if life.cause in {"", "failed"} and life.known and not life.status.error and _ran_out(life):
        return "oom"
    return life.cause


def _ran_out(life: Life) -> bool:
    every = attempts(life.run)
    files = every[-1].files(0) if every else ()
    return any(word in _end_of(path) for path in files for word in KILLED_FOR_MEMORY)


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
