"""One command at a time works on a study: a lock beside it, and who holds it."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep.tune.storage import FOLDER
from tgdp.sweep.tune.task import Task


@contextmanager
def hold_study(task: Task) -> Generator[None]:
    """Keep every other command away from a study; killed or not, a process lets go at its end.

    Raises:
        UserError: Another process has it; the lock, its host and its number are named.
    """
    folder = task.results / FOLDER
    path, holder = folder / f"{task.name}.lock", folder / f"{task.name}.holder.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"{path}: {_who(holder)} works on study '{task.name}'; it asks for as many trials as "
            "are free to run, so a second one would only ask for the same"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    try:
        here = {"host": os.uname().nodename, "pid": os.getpid()}
        write_whole(holder, json.dumps(here))
        yield
    finally:
        lock.release()


def _who(holder: Path) -> str:
    try:
        found = json.loads(holder.read_bytes())
        return f"process {found['pid']} on {found['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
