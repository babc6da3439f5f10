"""The code of a submission is what was tracked then, whatever becomes of the checkout."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tgdp.sweep import environment
from tgdp.sweep.slurm.snapshot import FOLDER, PATCH_FILE, look, take


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "n")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "n@n")
    folder = tmp_path / "checkout"
    (folder / "tgdp" / "sweep").mkdir(parents=True)
    (folder / "tgdp" / "code.py").write_text("one\n")
    (folder / "tgdp" / "gone.py").write_text("old\n")
    (folder / "tgdp" / "noise.bin").write_bytes(bytes(range(256)))
    git(folder, "init", "-q")
    git(folder, "add", ".")
    commit(folder)
    return folder


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(("git", "-C", folder, *words), check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=n@n", "-c", "commit.gpgsign=false")
    git(folder, *identity, "commit", "-q", "-m", "why")


def test_it_holds_tracked_files_with_their_changes(checkout: Path) -> None:
    (checkout / "tgdp" / "code.py").write_text("two\n")
    (checkout / "tgdp" / "gone.py").unlink()
    (checkout / "tgdp" / "noise.bin").write_bytes(bytes(range(255, -1, -1)))
    (checkout / "tgdp" / "staged.py").write_text("new\n")
    git(checkout, "add", "tgdp/staged.py")
    (checkout / "tgdp" / "stray.py").write_text("untracked\n")
    # As usual, the results lie in the checkout.
    results = checkout / "results"

    taken = take(results, checkout)

    assert taken.folder is not None
    assert taken.folder.parent == results / FOLDER
    held = taken.folder / "tgdp"
    assert (held / "code.py").read_text() == "two\n"
    assert (held / "staged.py").read_text() == "new\n"
    assert (held / "noise.bin").read_bytes() == bytes(range(255, -1, -1))
    assert not (held / "gone.py").exists()
    assert not (held / "stray.py").exists()
    assert "tgdp/stray.py" in taken.notes[0]
    assert "-one" in (taken.folder / PATCH_FILE).read_text(errors="replace")
    assert (taken.commit, taken.is_dirty) == (git(checkout, "rev-parse", "HEAD"), True)
    assert [path.name for path in (results / FOLDER).iterdir()] == [taken.folder.name]


def test_a_later_edit_makes_another_and_leaves_it_alone(checkout: Path, tmp_path: Path) -> None:
    first = take(tmp_path, checkout)
    assert first == take(tmp_path, checkout)
    assert first.folder is not None
    inode = first.folder.stat().st_ino

    (checkout / "tgdp" / "code.py").write_text("later\n")
    second = take(tmp_path, checkout)

    assert second.folder != first.folder
    assert (first.folder / "tgdp" / "code.py").read_text() == "one\n"
    assert first.folder.stat().st_ino == inode
    assert (first.is_dirty, second.is_dirty) == (False, True)


def test_settings_of_the_user_do_not_spoil_it(checkout: Path, tmp_path: Path) -> None:
    git(checkout, "config", "diff.noprefix", "true")
    git(checkout, "config", "diff.mnemonicPrefix", "true")
    (checkout / "tgdp" / "code.py").write_text("two\n")

    taken = take(tmp_path / "results", checkout)

    assert taken.folder is not None
    assert (taken.folder / "tgdp" / "code.py").read_text() == "two\n"


def test_one_that_is_used_again_is_not_old(checkout: Path, tmp_path: Path) -> None:
    taken = take(tmp_path / "results", checkout)
    assert taken.folder is not None
    os.utime(taken.folder, (1.0, 1.0))

    take(tmp_path / "results", checkout)

    assert time.time() - taken.folder.stat().st_mtime < 60


def test_looking_writes_nothing(checkout: Path, tmp_path: Path) -> None:
    seen = look(tmp_path / "results", checkout)

    assert not (tmp_path / "results").exists()
    assert seen == take(tmp_path / "results", checkout)


def test_one_that_cannot_be_made_leaves_nothing(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "rename", fail)

    with pytest.raises(Exception, match=r"cannot write the snapshot.*No space left"):
        take(tmp_path / "results", checkout)

    assert list((tmp_path / "results" / FOLDER).iterdir()) == []


def test_code_that_was_installed_has_none_and_it_is_said(tmp_path: Path) -> None:
    taken = take(tmp_path / "results", tmp_path)

    assert taken.folder is None
    assert "no git checkout" in taken.notes[0]


def test_a_job_says_the_commit_of_its_snapshot(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "tgdp" / "code.py").write_text("two\n")
    taken = take(tmp_path, checkout)
    assert taken.folder is not None

    monkeypatch.setattr(environment, "__file__", str(taken.folder / "tgdp" / "sweep" / "e.py"))

    assert environment.describe()["commit"] == taken.commit[:12] + "+"
