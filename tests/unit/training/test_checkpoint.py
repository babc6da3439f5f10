"""Checkpoints: whole or not at all."""

import errno
import logging
import subprocess
from pathlib import Path

import pytest
import torch

from tgdp.errors import UserError
from tgdp.training import checkpoint


def test_what_was_saved_comes_back_and_only_the_newest_two_stay(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, {"weight": torch.full((2,), float(step))})
    assert [path.name for path in checkpoint.paths(tmp_path)] == [
        "step-00000003.pt",
        "step-00000002.pt",
    ]
    stored = checkpoint.load_newest(tmp_path)
    assert stored is not None
    assert stored["step"] == 3
    assert stored["weight"].tolist() == [3.0, 3.0]


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path, caplog, monkeypatch):
    # mlflow's migrations switch off every logger there is when they run in the same process.
    monkeypatch.setattr(checkpoint.logger, "disabled", False)
    checkpoint.save(tmp_path, 1, {})
    newest = checkpoint.save(tmp_path, 2, {"weight": torch.ones(1000)})
    newest.write_bytes(newest.read_bytes()[:500])
    with caplog.at_level(logging.WARNING):
        stored = checkpoint.load_newest(tmp_path)
    assert stored is not None
    assert stored["step"] == 1
    assert str(newest) in caplog.text


def test_no_checkpoint_is_none_and_a_stranger_is_refused(tmp_path):
    assert checkpoint.load_newest(tmp_path) is None
    torch.save({"model": 1}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a checkpoint of this version"):
        checkpoint.load(tmp_path / "other.pt")
    with pytest.raises(UserError, match="no such checkpoint"):
        checkpoint.load(tmp_path / "absent.pt")


def test_a_full_disk_leaves_the_checkpoint_before_whole(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"weight": torch.ones(10)})

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint._Watched, "write", full)
    with pytest.raises(UserError, match=r"step-00000002\.pt.*No space left on device"):
        checkpoint.save(tmp_path, 2, {"weight": torch.ones(10)})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001.pt"]


def test_a_disk_that_is_really_full(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        checkpoint.save(disk, 1, {"weight": torch.ones(10_000)})
        with pytest.raises(UserError, match="No space left on device"):
            checkpoint.save(disk, 2, {"weight": torch.ones(100_000)})
        assert [path.name for path in disk.iterdir()] == ["step-00000001.pt"]
        stored = checkpoint.load_newest(disk)
        assert stored is not None
        assert stored["step"] == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)
