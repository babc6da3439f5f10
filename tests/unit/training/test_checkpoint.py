"""Checkpoints: whole or not at all, known to be whole, and hard to lose."""

import errno
import itertools
import logging
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
import torch

from tgdp.errors import UserError
from tgdp.training import best, checkpoint, checksum, retention
from tgdp.training.checkpoint import _Watched

KILLS = 30
KEPT_EVERY = 25


@pytest.fixture(autouse=True)
def warned(caplog, monkeypatch):
    """What is warned of."""
    # mlflow's migrations switch off every logger there is when they run in the same process.
    for module in (checkpoint, retention, best):
        monkeypatch.setattr(module.logger, "disabled", False)
    caplog.set_level(logging.WARNING)
    return caplog


def content(step: int, numbers: int = 100) -> dict[str, Any]:
    return {"weight": torch.full((numbers,), float(step)), "name": f"of step {step}"}


def check(state: dict[str, Any] | None, step: int) -> None:
    """Hold a checkpoint against what was saved at that step."""
    assert state is not None
    assert state["step"] == step
    assert state["name"] == f"of step {step}"
    assert state["weight"].unique().tolist() == [float(step)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def with_checksums(*files: str) -> list[str]:
    return sorted([*files, *(f"{name}.sha256" for name in files)])


def test_what_was_saved_comes_back_and_only_the_newest_two_stay(tmp_path, warned):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, content(step))
    assert [path.name for path in checkpoint.paths(tmp_path)] == [
        "step-00000003.pt",
        "step-00000002.pt",
    ]
    assert names(tmp_path) == with_checksums("step-00000002.pt", "step-00000003.pt")
    check(checkpoint.load_newest(tmp_path, expected=3), 3)
    assert warned.text == ""


def test_sha256sum_agrees_with_every_checksum(tmp_path):
    for step in (1, 2):
        path = checkpoint.save(tmp_path, step, content(step))
        checkpoint.save_best(tmp_path, path, "r1", float(step))
    files = [name for name in names(tmp_path) if name.endswith(".sha256")]
    said = subprocess.run(
        ["sha256sum", "-c", *files], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [f"{name.removesuffix('.sha256')}: OK" for name in files]
    assert len(files) == 3


def test_one_flipped_bit_anywhere_is_found(tmp_path):
    path = checkpoint.save(tmp_path, 1, content(1))
    whole = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(whole)), 200):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(checkpoint.DamagedError, match=r"step-00000001\.pt: damaged.*SHA-256"):
            checkpoint.load(path)
    path.write_bytes(whole)
    check(checkpoint.load(path), 1)


def test_a_cut_off_file_is_found_with_a_checksum_or_without(tmp_path):
    path = checkpoint.save(tmp_path, 1, content(1))
    whole = path.read_bytes()
    for length in random.Random(0).sample(range(len(whole)), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoint.DamagedError, match=f"its {length:,} bytes is"):
            checkpoint.load(path)
    checksum.file_of(path).unlink()
    for length in random.Random(1).sample(range(len(whole)), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(checkpoint.DamagedError, match="damaged checkpoint"):
            checkpoint.load(path)


def test_a_damaged_checksum_and_an_unreadable_file_count_as_damage(tmp_path):
    path = checkpoint.save(tmp_path, 1, content(1))
    checksum.file_of(path).write_bytes(b"\xff\x00")
    with pytest.raises(checkpoint.DamagedError, match=r"step-00000001\.pt\.sha256 holds no"):
        checkpoint.load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(checkpoint.DamagedError, match=r"step-00000001\.pt: .*Is a directory"):
        checkpoint.load(path)


def test_a_checkpoint_without_a_checksum_is_read_with_a_warning(tmp_path, warned):
    path = checkpoint.save(tmp_path, 1, content(1))
    checksum.file_of(path).unlink()
    check(checkpoint.load_newest(tmp_path), 1)
    assert f"{path}: has no checksum" in warned.text
    checkpoint.save(tmp_path, 1, content(1, numbers=7))
    assert names(tmp_path) == with_checksums("step-00000001.pt")
    assert checkpoint.load(path)["weight"].numel() == 7


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, warned):
    checkpoint.save(tmp_path, 1, content(1))
    newest = checkpoint.save(tmp_path, 2, content(2))
    newest.write_bytes(newest.read_bytes()[:500])
    check(checkpoint.load_newest(tmp_path), 1)
    (message,) = warned.messages
    assert message.startswith(f"{newest}: damaged checkpoint")
    assert message.endswith("going on from step 1")
    assert newest.exists()


def test_a_missing_newest_checkpoint_is_named(tmp_path, warned):
    newest = tmp_path / "step-00000002.pt"
    assert checkpoint.load_newest(tmp_path, expected=2) is None
    assert f"{newest}: missing" in warned.text
    assert "starting from nothing" in warned.text
    warned.clear()
    checkpoint.save(tmp_path, 1, content(1))
    check(checkpoint.load_newest(tmp_path, expected=2), 1)
    (message,) = warned.messages
    assert message.startswith(f"{newest}: missing")
    assert message.endswith("going on from step 1")
    warned.clear()
    # Killed after the save and before the status: nothing is lost.
    checkpoint.save(tmp_path, 3, content(3))
    check(checkpoint.load_newest(tmp_path, expected=2), 3)
    assert warned.text == ""


def test_only_damaged_checkpoints_are_no_start_from_nothing(tmp_path):
    for step in (1, 2):
        path = checkpoint.save(tmp_path, step, content(step))
    checkpoint.save_best(tmp_path, path, "r1", 0.5)
    whole = path.read_bytes()
    for path in checkpoint.paths(tmp_path):
        path.unlink()
        path.write_bytes(b"nothing")
    with pytest.raises(UserError, match="delete them, or to go on from the best one") as refusal:
        checkpoint.load_newest(tmp_path)
    for step in (1, 2):
        assert f"step-0000000{step}.pt: damaged checkpoint" in str(refusal.value)
    assert "cp best.pt step-00000002.pt" in str(refusal.value)
    path = tmp_path / "step-00000002.pt"
    path.write_bytes((tmp_path / "best.pt").read_bytes())
    assert path.read_bytes() == whole
    check(checkpoint.load_newest(tmp_path), 2)


def test_no_checkpoint_is_none_and_a_stranger_is_refused(tmp_path):
    assert checkpoint.load_newest(tmp_path) is None
    torch.save({"model": 1}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a checkpoint of this version"):
        checkpoint.load(tmp_path / "other.pt")
    with pytest.raises(UserError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "absent.pt")


def test_a_whole_checkpoint_that_cannot_be_loaded_is_not_passed_over(tmp_path, monkeypatch):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, content(step))

    def short(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "load", short)
    with pytest.raises(UserError, match=r"step-00000002\.pt: whole, but cannot be loaded here"):
        checkpoint.load_newest(tmp_path)


def test_a_reader_is_not_led_astray_by_a_run_that_goes_on(tmp_path, monkeypatch, warned):
    checkpoint.save(tmp_path, 4, content(4))
    listed = [[checkpoint.path_of(tmp_path, step) for step in (3, 2)]]
    monkeypatch.setattr(
        checkpoint, "paths", lambda folder: listed.pop() if listed else retention.paths(folder)
    )
    check(checkpoint.load_newest(tmp_path), 4)
    assert warned.text == ""


@pytest.mark.parametrize(("moment", "numbers"), [("before it is opened", 7), ("after", 100)])
def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(
    tmp_path, monkeypatch, moment, numbers
):
    path = checkpoint.save(tmp_path, 1, content(1))
    real, calls = checksum.stored, itertools.count()

    def stored(asked: Path) -> list[str] | None:
        is_after = next(calls) == 1
        found = None if is_after else real(asked)
        if is_after == (moment == "after"):
            monkeypatch.setattr(checksum, "stored", real)
            checkpoint.save(tmp_path, 1, content(1, numbers=7))
        return real(asked) if is_after else found

    monkeypatch.setattr(checksum, "stored", stored)
    assert checkpoint.load(path)["weight"].numel() == numbers


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
