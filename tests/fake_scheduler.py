"""Make-believe `squeue`, `sacct` and `scancel` that say what a test has written down for them."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from tgdp.sweep.slurm.listing import SACCT_FIELDS, SQUEUE_FIELDS

SCRIPT = """#!/bin/sh
# Keeps its words, then fails as often as it is told to, then says what it is told to.
here={folder}
printf '%s\\n' "$*" >> $here/{name}.calls
left=$(cat $here/{name}.failures 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > $here/{name}.failures
    cat $here/{name}.error >&2
    exit 1
fi
cat $here/{name}.says 2>/dev/null
exit 0
"""

NAMES = ("squeue", "sacct", "scancel")


class FakeScheduler:
    """Three executables in a folder of their own.

    Args:
        folder: Where they are put; the test puts it on PATH.
    """

    def __init__(self, folder: Path, names: Sequence[str] = NAMES) -> None:
        self.folder = folder
        for name in names:
            path = folder / name
            path.write_text(SCRIPT.format(folder=folder, name=name))
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    @property
    def path(self) -> str:
        """PATH with the folder in front."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def queue(self, *jobs: dict[str, str]) -> None:
        """Let `squeue` list some jobs, by its own column names."""
        lines = ["|".join([*(job.get(name, "") for name in SQUEUE_FIELDS), ""]) for job in jobs]
        self._say("squeue", lines)

    def accounts(self, *jobs: dict[str, str]) -> None:
        """Let `sacct` list some jobs, by its own column names."""
        lines = ["|".join(job.get(name, "") for name in SACCT_FIELDS) for job in jobs]
        self._say("sacct", lines)

    def fail(self, name: str, error: str, times: int = 1_000) -> None:
        """Let a command fail some times."""
        (self.folder / f"{name}.error").write_text(f"{error}\n")
        (self.folder / f"{name}.failures").write_text(str(times))

    def calls(self, name: str) -> list[str]:
        """Return the words of every call."""
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []

    def _say(self, name: str, lines: Sequence[str]) -> None:
        (self.folder / f"{name}.says").write_text("".join(f"{line}\n" for line in lines))


def queued(job: str, state: str = "RUNNING", **others: str) -> dict[str, str]:
    """Return a line of `squeue`."""
    line = {"JobArrayID": job, "State": state, "Reason": "None", "TimeUsed": "0:00"}
    return {**line, "RestartCnt": "0", "StartTime": "N/A", "EndTime": "N/A", **others}


def accounted(job: str, state: str = "COMPLETED", **others: str) -> dict[str, str]:
    """Return a line of `sacct`."""
    line = {"JobID": job, "State": state, "ExitCode": "0:0", "ElapsedRaw": "0", "Submit": "1"}
    return {**line, "Start": "Unknown", "End": "Unknown", **others}


def open_scheduler(folder: Path, monkeypatch) -> Iterator[FakeScheduler]:
    """Yield make-believe commands that are found before any real ones."""
    folder.mkdir()
    fake = FakeScheduler(folder)
    monkeypatch.setenv("PATH", fake.path)
    monkeypatch.setattr("tgdp.sweep.slurm.command.WAITS_S", (0.01, 0.01))
    yield fake
