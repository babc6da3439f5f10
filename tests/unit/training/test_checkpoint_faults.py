"""Full disks and killed processes cost no checkpoint."""

import errno
import itertools
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from by_step import check, content, names, with_checksums

from tgdp.errors import UserError
from tgdp.training import best, checkpoint, checksum, retention
from tgdp.training.checkpoint import _Watched

KILLS = 30
KEPT_EVERY = 25


@pytest.mark.parametrize("can_link", [True, False])
def test_a_disk_that_fills_up_at_any_operation_costs_nothing(tmp_path, monkeypatch, can_link):
    """Fail the first operation on the disk, then the second, and so on until none fails."""
    for number in itertools.count():
        folder = tmp_path / str(number)
        prepare(folder)
        with monkeypatch.context() as patch:
            if not can_link:
                patch.setattr(os, "link", _refuse_links)
            left = [number]
            for name in ("fsync", "replace", "link"):
                patch.setattr(os, name, _failing(getattr(os, name), left))
            patch.setattr(checkpoint, "_Watched", _failing_files(left))
            failed = save_third(folder)
        check_after(folder, failed)
        if not failed:
            break
    # Writing and renaming a checkpoint, its record and its checksums are more than these.
    assert number > 10


def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    """Leave one page more each time, until both the checkpoint and the copied best one fit."""
    monkeypatch.setattr(os, "link", _refuse_links)
    page, disk = os.sysconf("SC_PAGESIZE"), tmp_path / "disk"
    for pages in itertools.count():
        with small_disk(disk):
            run = disk / "run"
            prepare(run)
            free = os.statvfs(disk)
            (disk / "ballast").write_bytes(bytes(free.f_bavail * free.f_frsize - pages * page))
            failed = save_third(run)
            check_after(run, failed)
            if failed:
                (disk / "ballast").unlink()
                assert not save_third(run)
                check_after(run, failed=False)
        if not failed:
            break
    assert pages * page > 6000 * 4


def test_a_disk_without_room_for_another_name(tmp_path):
    disk = tmp_path / "disk"
    for inodes in itertools.count(9):
        with small_disk(disk, f"nr_inodes={inodes}"):
            prepare(disk)
            failed = save_third(disk)
            check_after(disk, failed)
        if not failed:
            break
    assert inodes > 9


# Python 3.12 warns of what is meant: the child does nothing but save, and is killed.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_thirty_kills_lose_no_checkpoint_that_was_reported(tmp_path):
    last = 0
    for number in range(KILLS):
        reported = saved_before_the_kill(tmp_path, last + 1, random.Random(number))
        state = checkpoint.load_newest(tmp_path, expected=reported)
        assert state is not None
        # One more than was reported, if the kill came between the rename and the report.
        assert state["step"] in (reported, reported + 1)
        last = state["step"]
        check(state, last)
        if (record := best.read_best(tmp_path)) is not None:
            kept = checkpoint.load(tmp_path / "best.pt")
            check(kept, kept["step"])
            assert record.value == score(kept["step"])
        # As a run that resumes: the kill may have come before the value was stored.
        checkpoint.save_best(tmp_path, checkpoint.path_of(tmp_path, last), "r1", score(last))
    save_one(tmp_path, last + 1)
    due = {last, last + 1, *range(KEPT_EVERY, last, KEPT_EVERY)}
    files = [checkpoint.path_of(tmp_path, step).name for step in due]
    assert names(tmp_path) == sorted([*with_checksums(*files, "best.pt"), "best.json"])
    record = best.read_best(tmp_path)
    assert record is not None
    assert record.value == max(score(step) for step in range(1, last + 2))


def prepare(folder: Path) -> None:
    """Save two checkpoints, of which the first is the best so far."""
    folder.mkdir(exist_ok=True)
    for step in (1, 2):
        path = checkpoint.save(folder, step, content(step, numbers=5000))
        checkpoint.save_best(folder, path, "r1", 1.0 - step)


def save_third(folder: Path) -> bool:
    """Save a third one, and as the best; return whether that failed for want of space."""
    try:
        path = checkpoint.save(folder, 3, content(3, numbers=6000))
        checkpoint.save_best(folder, path, "r1", 2.0)
    except UserError as error:
        return re.search(r"No space left on device.* whole: free space", str(error)) is not None
    return False


def check_after(folder: Path, failed: bool) -> None:
    """Hold the folder against what must be there."""
    assert not [name for name in names(folder) if name.endswith(".tmp")]
    found = checkpoint.paths(folder)
    for path in [*found, folder / "best.pt"]:
        assert checksum.stored(path)
        state = checkpoint.load(path)
        check(state, state["step"])
    steps = [retention.step_of(path) for path in found]
    assert steps in ([[2, 1], [3, 2, 1], [3, 2]] if failed else [[3, 2]])


def score(step: int) -> float:
    """A measure that is sometimes better than before."""
    return float(step * 7919 % 1009)


def save_one(folder: Path, step: int) -> Path:
    path = checkpoint.save(
        folder, step, content(step, numbers=50_000), keeps=lambda step: step % KEPT_EVERY == 0
    )
    checkpoint.save_best(folder, path, "r1", score(step))
    return path


def saved_before_the_kill(folder: Path, first: int, rng: random.Random) -> int:
    """Let a child save as fast as it can, kill it, and return the last step it reported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for step in itertools.count(first):
                save_one(folder, step)
                os.write(writer, step.to_bytes(8))
        finally:
            os._exit(1)
    os.close(writer)
    reported = os.read(reader, 8)
    time.sleep(rng.uniform(0, 0.03))  # any moment will do
    os.kill(child, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
    while more := os.read(reader, 1 << 16):
        reported += more
    os.close(reader)
    return int.from_bytes(reported[-8:])


def _refuse_links(*_: Any) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def _failing_files(left: list[int]) -> Any:
    """Return what makes files that fail once as many operations as `left` says were done."""

    def watched(file: IO[bytes]) -> _Watched:
        made: Any = _Watched(file)
        made._file = SimpleNamespace(write=_failing(file.write, left), flush=file.flush)
        return made

    return watched


def _failing(real: Any, left: list[int]) -> Any:
    """Return a function that fails once as many operations as `left` says were done."""

    def operation(*args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*args)

    return operation


@contextmanager
def small_disk(disk: Path, *options: str) -> Iterator[None]:
    """Mount a small disk in memory for a while."""
    disk.mkdir(exist_ok=True)
    words = ",".join(["size=256k", *options])
    mount = ["mount", "-t", "tmpfs", "-o", words, "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)
