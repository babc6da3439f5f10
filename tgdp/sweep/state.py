"""The state of a run as a launch must see it: what is written, checked against what is there."""

import fcntl
import os
from dataclasses import replace

from tgdp.training.run_directory import RunDirectory, Status, left_behind


def read_state(run: RunDirectory) -> Status:
    """Return the newest state of a run; nothing is written.

    A result that is there whole means `done`, even if the process was killed before it could say
    so; without one, a checkpoint of the last step means `trained`. `running` needs a process that
    holds the lock: the number of a process that died may have been given to another one since.
    """
    status = run.status()
    if status.state in {"running", "interrupted", "trained"} and _has_result(run):
        return replace(status, state="done")
    if status.state == "done" and not _has_result(run):
        return left_behind(replace(status, state="interrupted"))
    here = status.host == os.uname().nodename
    if status.state == "running" and here and not is_held(run):
        return left_behind(replace(status, state="interrupted"))
    return status


def is_held(run: RunDirectory) -> bool:
    """Return whether a process holds the lock of a run."""
    try:
        with run.lock_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _has_result(run: RunDirectory) -> bool:
    # Not through a Path: a plan asks this of ten thousand runs.
    return os.path.exists(f"{run.path}/result.json")
