"""What nothing needs any more: runs of no sweep, files half written, code of jobs that are over.

Only listed here, and deleted by `delete` what was listed. A finished run is never an orphan.
"""

import json
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from filelock import FileLock, Timeout

from tgdp.sweep.cells import Named, every
from tgdp.sweep.hold import is_being_written
from tgdp.sweep.lifetime import Life, look
from tgdp.sweep.slurm import snapshot, submit
from tgdp.sweep.state import is_held, read_state
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory

Kind = Literal["run of no sweep", "half written", "old snapshot"]

OLD_S = 3600.0
"""Younger files may be in somebody's hands, on another host too."""

HALF_WRITTEN = ("*.tmp", "*.save_tmp")

STRAY = re.compile(r"\.submission_file_[0-9a-f]{8,}\.sh|[0-9a-f]{32}\.pkl")
"""What submitit leaves of a submission that was refused."""


class Orphan(NamedTuple):
    """Something that nothing needs.

    Attributes:
        path: A file or a folder.
        kind: What it is.
        size: Bytes.
        why: What is known of it, in words.
    """

    path: Path
    kind: Kind
    size: int
    why: str = ""


def find(results: Path) -> tuple[Orphan, ...]:
    """Return what nothing in a results folder needs; nothing is changed.

    Args:
        results: The results folder.
    """
    runs = every(results)
    lives = look([(named.run, read_state(named.run)) for named in runs])
    found = [*_runs(runs, lives), *_half_written(results), *_snapshots(results, lives)]
    gone = [orphan.path for orphan in found if orphan.path.is_dir()]
    return tuple(one for one in found if not any(path in one.path.parents for path in gone))


def delete(orphans: Sequence[Orphan]) -> tuple[Orphan, ...]:
    """Delete what was listed; what has come to life or to an end since then stays.

    Returns:
        What was deleted.
    """
    return tuple(orphan for orphan in orphans if _delete(orphan))


def _delete(orphan: Orphan) -> bool:
    if orphan.kind != "run of no sweep":
        if orphan.path.is_dir():
            shutil.rmtree(orphan.path, ignore_errors=True)
        else:
            orphan.path.unlink(missing_ok=True)
        return True
    named = Named(RunDirectory(orphan.path))
    try:
        with FileLock(named.run.lock_file).acquire(timeout=0.2):
            if not _is_orphan(named, look([(named.run, read_state(named.run))])[0]):
                return False
            shutil.rmtree(orphan.path)
            return True
    except Timeout:
        return False


def _runs(runs: Sequence[Named], lives: Sequence[Life]) -> Iterator[Orphan]:
    for named, life in zip(runs, lives, strict=True):
        path = named.run.path
        is_left = path.is_dir() and _is_old(path) and not is_held(named.run)
        if is_left and _is_orphan(named, life):
            status = life.status
            why = f"{life.state}, step {status.step}/{status.total_steps}, {_age(path)}"
            yield Orphan(path, "run of no sweep", _size(path), why)


def _is_orphan(named: Named, life: Life) -> bool:
    is_finished = life.state == "done" or named.run.result_file.exists()
    goes_on = life.state in {"running", "queued"} or bool(life.active)
    return not (named.records or is_finished or goes_on)


def _half_written(results: Path) -> Iterator[Orphan]:
    for folder in (results / "runs", results / snapshot.FOLDER, results / submit.FOLDER):
        for form in HALF_WRITTEN:
            for path in sorted(folder.rglob(form)):
                if _is_old(path) and not is_being_written(path):
                    yield Orphan(path, "half written", _size(path), _age(path))
    for path in sorted((results / submit.FOLDER).glob("*/*")):
        if STRAY.fullmatch(path.name) and _is_old(path):
            yield Orphan(path, "half written", _size(path), f"refused submission, {_age(path)}")


def _snapshots(results: Path, lives: Sequence[Life]) -> Iterator[Orphan]:
    needed = {_snapshot_of(folder) for folder in _folders_at_work(lives)}
    for path in sorted((results / snapshot.FOLDER).glob("*")):
        is_whole = path.is_dir() and path.suffix != ".tmp"
        if is_whole and path.resolve() not in needed and _is_old(path):
            yield Orphan(path, "old snapshot", _size(path), f"no job needs it, {_age(path)}")


def _folders_at_work(lives: Sequence[Life]) -> set[Path]:
    return {
        Path(held.record.folder)
        for life in lives
        for held in life.jobs
        # What the scheduler cannot be asked about may be waiting all the same.
        if (held.job.is_active if held.job else life.state not in ("done", *ENDED_BADLY))
    }


def _snapshot_of(submission: Path) -> Path | None:
    try:
        named = json.loads((submission / "submission.json").read_bytes())["snapshot"]
        return Path(named).resolve()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > OLD_S
    except OSError:
        return False  # Gone by now: it was being written.


def _age(path: Path) -> str:
    hours = (time.time() - path.lstat().st_mtime) / 3600
    return f"{hours / 24:.0f} days old" if hours >= 48 else f"{hours:.0f} hours old"


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    return sum(one.lstat().st_size for one in path.rglob("*") if not one.is_symlink())
