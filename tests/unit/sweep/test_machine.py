"""Slots: one job a GPU, two on a machine without, the cores shared out."""

from pathlib import Path

import pytest

from tgdp.sweep import machine
from tgdp.sweep.machine import Slots, list_gpus, share_out


@pytest.fixture(autouse=True)
def no_gpus(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    return tmp_path


@pytest.mark.parametrize(("cores", "jobs", "threads"), [(1, 1, 1), (2, 2, 1), (16, 2, 8)])
def test_without_gpus_two_jobs_share_the_cores(
    monkeypatch, cores: int, jobs: int, threads: int
) -> None:
    monkeypatch.setattr(machine, "count_cores", lambda: cores)
    assert share_out(None) == Slots(jobs, threads)


def test_more_jobs_than_cores_get_a_thread_each(monkeypatch) -> None:
    monkeypatch.setattr(machine, "count_cores", lambda: 2)
    assert share_out(5) == Slots(5, 1)


def test_gpus_are_counted_from_the_device_files(no_gpus: Path) -> None:
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm"):
        (no_gpus / name).touch()
    assert list_gpus() == ("0", "1")
    assert share_out(None).gpus == ("0", "1")
    assert share_out(3).gpus == ("0", "1", "0")


@pytest.mark.parametrize(
    ("text", "gpus"), [("2,5", ("2", "5")), ("GPU-a1", ("GPU-a1",)), ("", ()), ("-1", ())]
)
def test_the_environment_says_which_gpus_are_ours(
    monkeypatch, no_gpus: Path, text: str, gpus: tuple[str, ...]
) -> None:
    (no_gpus / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", text)
    assert list_gpus() == gpus
