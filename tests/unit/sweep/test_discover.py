"""Sweep files: found by name, listed without being run, refused with a reason."""

from pathlib import Path

import pytest

from tgdp.errors import UserError
from tgdp.sweep import discover
from tgdp.sweep.discover import first_line, load_sweep, sweep_files, sweep_names

DECLARATION = '''"""What happens?

More.
"""
from tgdp.sweep.declare import Sweep, Variant
SWEEP = Sweep("mine", "Mine", "What?", "none", (Variant("a"), Variant("{label}")), ())
'''


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(text)
    return path


def test_the_sweeps_of_the_checkout_are_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "masking" in sweep_names()
    assert load_sweep("masking").name == "masking"


def test_a_sweep_of_the_working_folder_wins(tmp_path: Path, monkeypatch) -> None:
    mine = write(tmp_path / "sweeps", "masking", DECLARATION)
    monkeypatch.chdir(tmp_path)
    assert sweep_files()["masking"] == mine
    assert load_sweep("masking").name == "mine"


def test_an_installed_wheel_brings_its_own_sweeps(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "site-packages" / "tgdp"
    write(package / "bundled" / "sweeps", "bundled_one", DECLARATION)
    monkeypatch.setattr(discover, "PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert sweep_names() == ("bundled_one",)


def test_private_files_and_names_of_commands_are_no_sweeps(tmp_path: Path, monkeypatch) -> None:
    for name in ("_shared", "list", "status", "run"):
        write(tmp_path / "sweeps", name, DECLARATION)
    monkeypatch.chdir(tmp_path)
    assert not {"_shared", "list", "status", "run"} & set(sweep_names())


def test_every_sweep_is_named_after_its_file_and_says_what_it_asks() -> None:
    for name, path in sweep_files().items():
        assert load_sweep(name).name == name
        assert first_line(path)


def test_the_first_line_is_read_without_running_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "loud", '"""One line."""\nraise RuntimeError("was run")\n')
    assert first_line(path) == "One line."
    assert first_line(write(tmp_path, "broken", "def (")) == "(cannot be read)"


def test_an_unknown_sweep_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"unknown sweep 'maskin'. Did you mean 'masking'\?"):
        load_sweep("maskin")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\n", "declares no sweep"),
        ("1 / 0\n", "ZeroDivisionError"),
        (DECLARATION.replace("{label}", "a"), "label 'a' stands for two rows"),
        (DECLARATION.replace('(Variant("a"), Variant("{label}"))', "()"), "has no variants"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        load_sweep(write(tmp_path, "wrong", text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such sweep file"):
        load_sweep(tmp_path / "absent.py")
