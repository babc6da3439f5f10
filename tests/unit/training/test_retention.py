"""Which checkpoints stay, and the best one."""

import json
import logging
import math
import os
from pathlib import Path

import pytest
import torch

from tgdp.errors import UserError
from tgdp.training import best, checkpoint, checksum, retention


@pytest.fixture(autouse=True)
def warned(caplog):
    """What is warned of."""
    caplog.set_level(logging.WARNING)
    return caplog


@pytest.fixture
def without_links(monkeypatch):
    """A file system that knows no hard links."""

    def refuse(*_):
        raise PermissionError("Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


def save(folder: Path, *steps: int, keeps=None) -> Path:
    for step in steps:
        path = checkpoint.save(folder, step, {"weight": torch.full((9,), float(step))}, keeps)
    return path


def steps(folder: Path) -> list[int]:
    return [retention.step_of(path) for path in checkpoint.paths(folder)]


def test_every_checkpoint_that_is_asked_for_stays(tmp_path):
    save(tmp_path, *range(1, 10), keeps=lambda step: step % 3 == 0)
    assert steps(tmp_path) == [9, 8, 6, 3]
    save(tmp_path, 10)
    assert steps(tmp_path) == [10, 9]


def test_steps_are_ordered_as_numbers_and_other_files_let_be(tmp_path):
    others = ("step-1.pt", "step-00000001 (copy).pt", "mine.sha256", "step-00000001.pt.old")
    for name in others:
        (tmp_path / name).touch()
    save(tmp_path, 99_999_998, 99_999_999, 100_000_000)
    assert steps(tmp_path) == [100_000_000, 99_999_999]
    assert all((tmp_path / name).exists() for name in others)


@pytest.mark.parametrize("process", ["the same", "another"])
def test_a_damaged_checkpoint_does_not_count_as_one_that_stays(tmp_path, monkeypatch, process):
    damaged = save(tmp_path, 1, 2, 3)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    if process == "another":
        monkeypatch.setattr(retention, "_whole", set())
    save(tmp_path, 4)
    assert steps(tmp_path) == [4, 3, 2]
    save(tmp_path, 5)
    assert steps(tmp_path) == [5, 4]


def test_without_checksums_a_cut_off_file_does_not_count_either(tmp_path, monkeypatch):
    newest = save(tmp_path, 1, 2)
    for path in checkpoint.paths(tmp_path):
        checksum.file_of(path).unlink()
    newest.write_bytes(newest.read_bytes()[:-30])
    monkeypatch.setattr(retention, "_whole", set())
    save(tmp_path, 3)
    assert steps(tmp_path) == [3, 2, 1]


def test_what_this_process_wrote_or_read_is_not_read_again(tmp_path, monkeypatch):
    save(tmp_path, 1, 2)
    monkeypatch.setattr(retention, "_whole", set())
    checkpoint.load_newest(tmp_path)

    def refuse(path):
        raise AssertionError(path)

    monkeypatch.setattr(checksum, "opened", refuse)
    save(tmp_path, 3, 4)
    assert steps(tmp_path) == [4, 3]


def test_the_one_just_written_stays_though_newer_ones_are_there(tmp_path):
    save(tmp_path, 8, 9)
    save(tmp_path, 1)
    assert steps(tmp_path) == [9, 8, 1]


def test_who_reads_a_checkpoint_reads_it_to_its_end(tmp_path):
    path = save(tmp_path, 1)
    whole = path.read_bytes()
    with path.open("rb") as reader:
        begin = reader.read(10)
        save(tmp_path, 2, 3)
        assert not path.exists()
        assert begin + reader.read() == whole


def test_what_killed_processes_left_goes_with_the_next_save(tmp_path):
    left = ("step-00000007.pt.tmp", "best.pt.tmp", "best.json.77.tmp", "step-00000008.pt.sha256")
    for name in left:
        (tmp_path / name).touch()
    save(tmp_path, 1)
    assert sorted(os.listdir(tmp_path)) == ["step-00000001.pt", "step-00000001.pt.sha256"]


def test_a_checkpoint_that_cannot_be_removed_keeps_its_checksum(tmp_path, monkeypatch, warned):
    save(tmp_path, 1, 2)
    real = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name == "step-00000001.pt":
            raise PermissionError(13, "Permission denied")
        real(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    path = save(tmp_path, 3)
    assert "step-00000001.pt: cannot be removed (Permission denied)" in warned.text
    assert steps(tmp_path) == [3, 2, 1]
    assert checksum.stored(path.with_name("step-00000001.pt"))


def test_the_best_is_replaced_by_a_better_one_alone(tmp_path):
    for step, value in enumerate((0.25, math.nan, 0.5, 0.5, 0.125, 0.75, -math.inf), start=1):
        checkpoint.save_best(tmp_path, save(tmp_path, step), "r1", value)
        record = best.read_best(tmp_path)
        assert record is not None
        best_step = {1: 1, 2: 1, 6: 6, 7: 6}.get(step, 3)
        assert record.step == best_step == checkpoint.load(tmp_path / "best.pt")["step"]
    stored = json.loads((tmp_path / "best.json").read_text())
    assert (stored["name"], stored["value"], stored["step"]) == ("r1", 0.75, 6)
    assert steps(tmp_path) == [7, 6]


def test_nan_is_not_the_first_best_either(tmp_path):
    assert not checkpoint.save_best(tmp_path, save(tmp_path, 1), "r1", math.nan)
    assert best.read_best(tmp_path) is None


def test_the_best_is_a_link(tmp_path):
    path = save(tmp_path, 1)
    assert checkpoint.save_best(tmp_path, path, "r1", 0.5)
    assert path.samefile(tmp_path / "best.pt")
    save(tmp_path, 2, 3)
    assert checkpoint.load(tmp_path / "best.pt")["step"] == 1


@pytest.mark.usefixtures("without_links")
def test_the_best_is_a_copy_where_there_are_no_links(tmp_path):
    path = save(tmp_path, 1)
    assert checkpoint.save_best(tmp_path, path, "r1", 0.5)
    assert not path.samefile(tmp_path / "best.pt")
    assert (tmp_path / "best.pt").read_bytes() == path.read_bytes()
    assert checkpoint.load(tmp_path / "best.pt")["step"] == 1


def test_a_link_that_a_killed_process_left_is_not_written_through(tmp_path, request):
    save(tmp_path, 1, 2)
    (tmp_path / "best.pt.tmp").hardlink_to(tmp_path / "step-00000001.pt")
    request.getfixturevalue("without_links")
    checkpoint.save_best(tmp_path, tmp_path / "step-00000002.pt", "r1", 0.5)
    assert checkpoint.load(tmp_path / "step-00000001.pt")["step"] == 1
    assert checkpoint.load(tmp_path / "best.pt")["step"] == 2


@pytest.mark.parametrize("number", range(4))
def test_a_kill_between_the_files_of_the_best_is_made_good(tmp_path, monkeypatch, number):
    """Die at the renames: of `best.json`, of the checksum, of `best.pt`, of the checksum again."""
    checkpoint.save_best(tmp_path, save(tmp_path, 1), "r1", 0.25)
    path = save(tmp_path, 2)
    real, left = os.replace, [number]

    def replace(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save_best(tmp_path, path, "r1", 0.75)
    whole = checkpoint.load(tmp_path / "best.pt")
    assert whole["step"] == (2 if number == 3 else 1)
    save(tmp_path, 3, 4)
    record = best.read_best(tmp_path)
    assert record is not None
    assert (record.value, record.step) == ((0.25, 1) if number == 0 else (0.75, 2))
    assert checkpoint.load(tmp_path / "best.pt")["step"] == record.step
    assert checksum.stored(tmp_path / "best.pt") == [record.sha256]


def test_the_best_by_another_measure_gives_way(tmp_path, warned):
    checkpoint.save_best(tmp_path, save(tmp_path, 1), "r1", 0.75)
    assert checkpoint.save_best(tmp_path, save(tmp_path, 2), "r5", 0.5)
    assert "the best by r1 gives way to r5" in warned.text
    assert checkpoint.load(tmp_path / "best.pt")["step"] == 2


def test_a_record_that_cannot_be_read_or_has_no_file_counts_as_none(tmp_path, warned):
    checkpoint.save_best(tmp_path, save(tmp_path, 1), "r1", 0.75)
    (tmp_path / "best.json").write_text("{")
    assert checkpoint.save_best(tmp_path, save(tmp_path, 2), "r1", 0.5)
    assert "best.json: cannot be read" in warned.text
    save(tmp_path, 3, 4)
    (tmp_path / "best.pt").unlink()
    assert checkpoint.save_best(tmp_path, save(tmp_path, 5), "r1", 0.25)
    assert checkpoint.load(tmp_path / "best.pt")["step"] == 5


def test_an_absent_checkpoint_cannot_be_the_best(tmp_path):
    with pytest.raises(UserError, match="cannot write the best checkpoint"):
        checkpoint.save_best(tmp_path, tmp_path / "step-00000001.pt", "r1", 0.5)
