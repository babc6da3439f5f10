"""The code as it was at submission, in a folder of its own, so that an edit reaches no job.

A job starts hours after its submission, and once more after every requeue; from the checkout it
would run whatever stands there by then.
"""

import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from tgdp.errors import UserError
from tgdp.sweep.environment import SNAPSHOT_FILE

CHECKOUT = Path(__file__).resolve().parents[3]

FOLDER = ".snapshots"

PATCH_FILE = ".snapshot.patch"

PLAIN = (
    *("--binary", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--src-prefix=a/", "--dst-prefix=b/"),
)
"""A patch as `git apply` takes it, whatever the user's own settings are."""

PRIVATE = 0o700
"""Snapshots, pickles and logs are the user's own; who wants to share them opens the folder."""


def make_private(folder: Path) -> None:
    """Make a folder that only the user may write to; what lies there is run as the user.

    Raises:
        UserError: It is there, and another user's, or everybody may write to it.
        OSError: It cannot be made.
    """
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise UserError(
            f"{folder}: another user's; take a results folder of your own: --results DIR"
        )
    if found.st_mode & stat.S_IWOTH:
        raise UserError(
            f"{folder}: everybody may write to it, and jobs run what is there: chmod o-w"
        )


@dataclass(frozen=True)
class Snapshot:
    """The code of a submission.

    Attributes:
        folder: Where it is, in the results folder; None where jobs take what is installed.
        commit: The commit it is made of; empty without a checkout.
        is_dirty: Whether tracked files were changed since.
        notes: What the user must know, a sentence each.
    """

    folder: Path | None
    commit: str = ""
    is_dirty: bool = False
    notes: tuple[str, ...] = ()


def take(results: Path, checkout: Path = CHECKOUT) -> Snapshot:
    """Return a snapshot of the tracked files as they are now, made only if it is not there yet.

    Args:
        results: The results folder.
        checkout: Where the code lies.

    Raises:
        UserError: git fails, or the folder cannot be written, or is not the user's own.
    """
    seen, patch = _look(results, checkout)
    if seen.folder is None:
        return seen
    if seen.folder.exists():
        # So that nobody takes it for an old one that no job needs.
        os.utime(seen.folder)
        return seen
    staged = seen.folder.with_name(f"{seen.folder.name}.{os.getpid()}.tmp")
    try:
        make_private(staged.parent)
        staged.mkdir(mode=PRIVATE)
        _fill(staged, checkout, seen.commit, patch)
        _put(staged, seen.folder)
    except OSError as error:
        raise UserError(f"{staged}: cannot write the snapshot of the code ({error})") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return seen


def look(results: Path, checkout: Path = CHECKOUT) -> Snapshot:
    """Return the snapshot that `take` would make; nothing is written.

    Raises:
        UserError: git fails.
    """
    return _look(results, checkout)[0]


def _look(results: Path, checkout: Path) -> tuple[Snapshot, bytes]:
    """Return the snapshot, and the patch it is named after: the tree may change meanwhile."""
    if not (checkout / ".git").exists() or shutil.which("git") is None:
        note = "The code is no git checkout: no snapshot; jobs take what is installed then."
        return Snapshot(None, notes=(note,)), b""
    commit = _git(checkout, "rev-parse", "HEAD").decode().strip()
    patch = _git(checkout, "diff", commit, *PLAIN)
    name = commit[:12] + (f"-{hashlib.sha256(patch).hexdigest()[:12]}" if patch else "")
    folder = results.resolve() / FOLDER / name
    return Snapshot(folder, commit, bool(patch), _untracked(checkout)), patch


def _fill(staged: Path, checkout: Path, commit: str, patch: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(_git(checkout, "archive", commit))) as archive:
        # Of our own commit; and Debian 12's Python, 3.11.2, knows no filters yet.
        archive.extractall(staged)
    if patch:
        file = staged / PATCH_FILE
        file.write_bytes(patch)
        # The results may lie in the checkout: git must not take the snapshot for a part of it.
        _git(staged, "apply", "--whitespace=nowarn", str(file), ceiling=staged.parent)
    facts = {"commit": commit, "dirty": bool(patch), "taken": time.time()}
    (staged / SNAPSHOT_FILE).write_text(json.dumps(facts), encoding="utf-8")


def _put(staged: Path, folder: Path) -> None:
    try:
        staged.rename(folder)
    except OSError:
        # Another submission made the same one meanwhile.
        if not folder.exists():
            raise


def _untracked(checkout: Path) -> tuple[str, ...]:
    listed = _git(checkout, "ls-files", "--others", "--exclude-standard", "--", "tgdp/**.py")
    names = listed.decode().splitlines()
    if not names:
        return ()
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return (f"Not tracked by git, so jobs will not see: {shown}. `git add` what they need.",)


def _git(folder: Path, *words: str, ceiling: Path | None = None) -> bytes:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if ceiling is not None:
        own["GIT_CEILING_DIRECTORIES"] = str(ceiling)
    command = ("git", "-C", str(folder), *words)
    done = subprocess.run(command, env=own, capture_output=True, check=False, timeout=120)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise UserError(f"{folder}: git {words[0]} failed, so no snapshot of the code: {said}")
    return done.stdout
