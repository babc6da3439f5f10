"""A test cluster as its user has it: by its command line, and by SLURM's own."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from slurm.testbed.settings import CHECKOUT, Cluster

PORTS = range(27_000, 32_000, 100)
USED_PORTS = 20


class Testbed:
    """One cluster in a folder of its own.

    Args:
        cluster: Where it is.
    """

    __test__ = False

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def call(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m slurm.testbed`."""
        words = [sys.executable, "-m", "slurm.testbed", command, "--dir", self.cluster.folder]
        return subprocess.run(
            [*words, *options], cwd=CHECKOUT, capture_output=True, text=True, check=False
        )

    def run(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of SLURM's commands."""
        return subprocess.run(
            command,
            env=self.cluster.environment(),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def ask(self, *command: str, cwd: Path | None = None) -> str:
        """Run one of SLURM's commands, which has to end well, and return what it prints."""
        done = self.run(*command, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def submit(self, cwd: Path, script: str, *options: str) -> str:
        """Submit a batch script and return the job's number."""
        path = cwd / "job.sh"
        path.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
        return self.ask("sbatch", "--parsable", *options, str(path), cwd=cwd).strip()

    def state(self, job: str) -> str:
        """Return SLURM's word for how a job is."""
        return self.ask("squeue", "--noheader", "--states=all", "--format=%T", "-j", job).strip()

    def wait(self, job: str, state: str, patience_s: float = 60) -> None:
        """Wait until a job is as it should be."""
        wait_for(lambda: self.state(job) == state, patience_s, lambda: self.state(job))

    def end_at(self, job: str, at: float) -> None:
        """Let the walltime of a job end at a Unix time, which limits of whole minutes do not say.

        SLURM sees it at its next look at all limits, which is every 30 s.
        """
        word = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
        self.ask("scontrol", "update", f"jobid={job}", f"EndTime={word}")

    def empty(self) -> None:
        """Cancel what a test has left in the queue, and wait until it is gone."""
        left = self.ask("squeue", "--noheader", "--format=%A").split()
        if left:
            self.run("scancel", *left)
            wait_for(lambda: not self.ask("squeue", "--noheader", "--format=%A").split())

    def pids(self) -> dict[str, int]:
        """Return the processes that its records name."""
        records = (self.cluster.folder / "pids").glob("*.json")
        return {path.stem: json.loads(path.read_text())["pid"] for path in records}


def free_port() -> int:
    """Return the first of a block of ports that nobody listens on."""
    blocks = list(PORTS)
    # Not seeded: another session on this machine is to try another block.
    random.SystemRandom().shuffle(blocks)
    return next(block for block in blocks if _is_free(range(block, block + USED_PORTS)))


def wait_for(
    done: Callable[[], bool],
    patience_s: float = 60,
    found: Callable[[], object] = lambda: "nothing of it",
) -> None:
    """Wait until something holds, or fail with what is found instead."""
    deadline = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < deadline, f"after {patience_s:g} s: {found()}"
        time.sleep(0.2)


def processes_with(*words: str) -> list[str]:
    """Return the command lines of the processes that name any of some words."""
    return [line for line in _command_lines() if any(word in line for word in words)]


def _command_lines() -> list[str]:
    lines: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        lines.append(line.replace(b"\0", b" ").decode(errors="replace"))
    own = Path(f"/proc/{os.getpid()}/cmdline").read_bytes().replace(b"\0", b" ")
    return [line for line in lines if line != own.decode(errors="replace")]


def _is_free(ports: Sequence[int]) -> bool:
    for port in ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return False
    return True
