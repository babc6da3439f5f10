"""SLURM's commands made up: scripts in a folder that stands first on PATH."""

import os
from pathlib import Path

import pytest

from tgdp.sweep.slurm.listing import SQUEUE_FIELDS

SINFO = """\
main*|up|infinite|1-infinite|n1|8|16000|gpu:4|h100,ib
main*|up|infinite|1-infinite|n2|8|16000|gpu:4|h100
short|up|1:00:00|1-1|n1|8|16000|gpu:4|h100,ib
typed|up|2-00:00:00|1-infinite|n3|96|1000000|gpu:h100:8(S:0-1),shard:h100:16|(null)
closed|down|infinite|1-infinite|n1|8|16000|gpu:4|h100,ib
"""

CONFIG = """\
ClusterName             = made-up
MaxArraySize            = 4
JobRequeue              = 1
PreemptType             = preempt/none
AccountingStorageType   = accounting_storage/slurmdbd
AccountingStorageEnforce = associations,limits,qos
"""

SACCTMGR = """\
case "$*" in
  *defaultaccount*) echo research; echo research ;;
  *assoc*) echo 'research|normal,high'; echo 'root|normal' ;;
  *qos*) echo 'normal|'; echo 'high|0-02:00:00' ;;
esac
"""

SBATCH = """\
cd {folder}
n=$(cat number); echo $((n + 10)) > number
cp "$1" "script-$n"
env > "environment-$n"
if [ -e busy ]; then
  rm busy; echo 'sbatch: error: Batch job submission failed: {busy}' >&2; exit 1
fi
if [ -e refuse ] && [ "$n" -ge "$(cat refuse)" ]; then
  echo 'sbatch: error: Batch job submission failed: No, thanks' >&2; exit 1
fi
echo "Submitted batch job $n"
"""

BUSY = "Socket timed out on send/recv operation"


class MadeUp:
    """A cluster of scripts.

    Args:
        folder: Where they are, and what they note.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "number").write_text("100")
        self.says("sinfo", SINFO)
        self.says("scontrol", CONFIG)
        self.command("sacctmgr", SACCTMGR)
        self.command("sbatch", SBATCH.format(folder=folder, busy=BUSY))
        self.command("srun", "exit 1")
        self.command("scancel", f'echo "$*" >> {folder}/cancelled')
        self.says("squeue", "")
        self.says("sacct", "")

    def command(self, name: str, text: str) -> None:
        """Make up a command by the lines of its script."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def says(self, name: str, text: str) -> None:
        """Make up a command that always says the same."""
        (self.folder / f"{name}.txt").write_text(text)
        self.command(name, f"cat {self.folder}/{name}.txt")

    def submitted(self) -> dict[str, str]:
        """Return the scripts that were submitted, by the number of the job."""
        paths = self.folder.glob("script-*")
        return {path.name.removeprefix("script-"): path.read_text() for path in sorted(paths)}

    def environment(self, number: str) -> dict[str, str]:
        """Return the environment in which a script was submitted."""
        lines = (self.folder / f"environment-{number}").read_text().splitlines()
        return {name: value for name, _, value in (line.partition("=") for line in lines)}

    def queue(self, *jobs: str) -> None:
        """Let these jobs be in the queue, pending."""
        known = {"State": "PENDING", "Reason": "Priority", "Partition": "main"}
        lines = [
            "".join(f"{({**known, 'JobArrayID': job}).get(name, 'N/A')}|" for name in SQUEUE_FIELDS)
            for job in jobs
        ]
        self.says("squeue", "\n".join(lines) + "\n")


def make_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    """Return a made-up cluster whose commands come first on PATH."""
    made = MadeUp(folder)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return made


def option(script: str, name: str) -> str | None:
    """Return the value of an option in a script; None if it is not there."""
    for line in script.splitlines():
        if line.startswith((f"#SBATCH --{name}=", f"#SBATCH --{name} ")) or line == (
            f"#SBATCH --{name}"
        ):
            return line.partition("=")[2]
    return None
