"""Checkpoints: whole or not at all, known to be whole, and hard to lose."""

import itertools
import logging
import random
import subprocess
from pathlib import Path

import pytest
import torch
from by_step import check, content, names, with_checksums

from tgdp.errors import UserError
from tgdp.training import checkpoint, checksum, retention


@pytest.fixture(autouse=True)
def warned(caplog):
    """What is warned of."""
    caplog.set_level(logging.WARNING)
    return caplog


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
