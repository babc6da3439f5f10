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

from tgdp.sweep import records
from tgdp.sweep.cells import Named, every
from tgdp.sweep.hold import is_being_written
from tgdp.sweep.lifetime import Life, look_now
from tgdp.sweep.slurm import snapshot, submit
from tgdp.sweep.state import is_held
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory

Kind = Literal["run of no sweep", "half written", "old snapshot"]

OLD_S = 3600.0
"""Younger files may be in somebody's hands, on another host too."""

PATIENCE_S = 10.0
"""While somebody submits, snapshots stay; a launch of a few jobs is waited for."""

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
    lives = _lives(runs)
    found = [*_runs(runs, lives), *_half_written(results), *_snapshots(results, lives)]
    gone = [orphan.path for orphan in found if orphan.path.is_dir()]
    return tuple(one for one in found if not any(path in one.path.parents for path in gone))


def delete(orphans: Sequence[Orphan]) -> tuple[Orphan, ...]:
    """Delete what was listed; what has come to life or to an end since then stays.

    Returns:
        What was deleted.
    """
    gone = {one for one in orphans if one.kind != "old snapshot" and _delete(one)}
    gone |= _delete_snapshots([one for one in orphans if one.kind == "old snapshot"])
    return tuple(one for one in orphans if one in gone)


def _delete(orphan: Orphan) -> bool:
    if orphan.kind == "run of no sweep":
        return _delete_run(RunDirectory(orphan.path))
    # A file of that name may be written anew by now.
    return _is_abandoned(orphan.path) and _remove(orphan.path)


def _delete_run(run: RunDirectory) -> bool:
    # Looked at without its lock: who holds that is taken for a process that works on the run.
    before = run.status()
    (life,) = _lives([Named(run)])
    try:
        with FileLock(run.lock_file).acquire(timeout=0.2):
            asked_for = records.newest(records.read(run.path.parents[1]))
            named = Named(run, tuple(record for record in asked_for if record.run == run.name))
            if run.status() != before or not _is_orphan(named, life):
                return False
            shutil.rmtree(run.path)
            return True
    except Timeout:
        return False


def _delete_snapshots(listed: Sequence[Orphan]) -> set[Orphan]:
    """Delete those that still no job needs, while nobody can submit one that would."""
    if not listed:
        return set()
    results = listed[0].path.parents[1]
    lock = results / submit.FOLDER / "lock"
    try:
        lock.parent.mkdir(mode=snapshot.PRIVATE, parents=True, exist_ok=True)
        with FileLock(lock, timeout=PATIENCE_S):
            lives = _lives(every(results))
            is_sure = all(life.is_sure for life in lives)
            old = {one.path for one in _snapshots(results, lives)} if is_sure else set[Path]()
            return {one for one in listed if one.path in old and _remove(one.path)}
    except (PermissionError, Timeout):
        return set()


def _remove(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()


def _lives(runs: Sequence[Named]) -> tuple[Life, ...]:
    return look_now(named.run for named in runs)


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
    # A job that nobody can be asked about may wait, and go on from what would be deleted.
    return life.is_sure and not (named.records or is_finished or goes_on)


def _half_written(results: Path) -> Iterator[Orphan]:
    for folder in (results / "runs", results / snapshot.FOLDER, results / submit.FOLDER):
        for form in HALF_WRITTEN:
            for path in sorted(folder.rglob(form)):
                if _is_abandoned(path):
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
        if (held.job.is_active if held.job else _may_wait(life))
    }


def _may_wait(life: Life) -> bool:
    """Return whether a job that the scheduler does not know may be waiting all the same."""
    return not life.is_sure or life.state not in ("done", *ENDED_BADLY)


def _snapshot_of(submission: Path) -> Path | None:
    try:
        named = json.loads((submission / "submission.json").read_bytes())["snapshot"]
        return Path(named).resolve()
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_abandoned(path: Path) -> bool:
    return _is_old(path) and not is_being_written(path)


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
