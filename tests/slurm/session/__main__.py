"""`python -m tests.slurm.session FOLDER [LOCAL]`: the session of docs/slurm-session.md, for real.

Wants the test cluster (`make slurm-up`) and half an hour. What it prints, commands and
answers, is what the page shows. `LOCAL` is a results folder that has the same runs without a
cluster; if it is not given, they are made first.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.slurm.session import files
from tests.slurm.session.compare import compare

SET = [f"--set={text}" for text in ("training.steps=1000", "runtime.save_every=20")]

PATIENCE_S = 3600

QUEUE = ("squeue", "--format=%.8i %.9P %.18j %.10T %.8M %R")

STARTS = (
    "sacct",
    "--duplicates",
    "-X",
    "--format=jobid%8,jobname%20,state%12,exitcode,elapsed,nodelist%6",
)


class Session:
    """Types commands in a folder, and prints them with their answers.

    Args:
        folder: Of the sweep, the profiles and the results.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own = {"TGDP_PROFILES": str(folder / "profiles"), "TGDP_RESULTS": "slurm", "COLUMNS": "132"}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, **own, "PATH": path}

    def tell(self, text: str) -> None:
        """Print a remark."""
        print(f"\n# {text}", flush=True)  # noqa: T201

    def type(self, *words: str, without: str = "") -> None:
        """Print a command and what it answers.

        Args:
            words: The command.
            without: Lines of the answer that hold this are left out; none if empty.
        """
        shown = " ".join(f"'{word}'" if set(word) & set(" *|%") else word for word in words)
        print(f"\n$ {shown}", flush=True)  # noqa: T201
        lines = self.ask(*words).splitlines(keepends=True)
        said = "".join(line for line in lines if not without or without not in line)
        print(said, end="", flush=True)  # noqa: T201

    def ask(self, *words: str) -> str:
        """Return what a command answers, without a word; what it says of warnings is left out."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + (done.stderr if done.returncode else "")

    def cells(self) -> dict[str, dict[str, Any]]:
        """Return how every cell is, by its name."""
        found = json.loads(self.ask("tgdp-sweep", "status", "twelve", "--json", *SET))
        return {f"{row['row']}@{row['seed']}": row for row in found}

    def until(self, condition: Callable[[dict[str, dict[str, Any]]], bool]) -> None:
        """Wait until something holds of the cells."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(self.cells()):
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {PATIENCE_S} s: {self.ask(*QUEUE)}")
            time.sleep(1.0)


def main() -> None:
    """Do it all, from an empty folder to the comparison."""
    folder = Path(sys.argv[1]).resolve()
    files.write(folder)
    session = Session(folder)
    local = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else alone(session)
    submit(session)
    preempt(session)
    end_two(session)
    mend(session)
    for line in compare(folder / "slurm", local, "twelve"):
        print(line, flush=True)  # noqa: T201


def alone(session: Session) -> Path:
    """Run the sweep without a cluster, with as many threads as its jobs have there."""
    here = ("--jobs", "2", "--set", "runtime.threads=1", "--results", "local")
    session.ask("tgdp-sweep", "twelve", *SET, *here)
    return session.folder / "local"


def submit(session: Session) -> None:
    """Submit six cells that may be preempted, and six that are never queued again."""
    run = session.cells()["0.20@1"]["run"]
    session.tell("One cell is going to fail: a directory stands where its events belong.")
    session.type("mkdir", "-p", f"slurm/runs/{run}/events.jsonl")
    for seed, profile in ((0, "session"), (1, "session-once")):
        where = ("--cluster", "slurm", "--profile", profile)
        session.type("tgdp-sweep", "twelve", "--seeds", f"{seed},", *SET, *where)


def preempt(session: Session) -> None:
    """Let a more urgent job take the node of the first cell while it trains."""
    session.until(lambda cells: cells["0.00@0"]["step"] >= 20)
    wish = ("--partition=urgent", "--nodelist=node3", "--cpus-per-task=8", "--mem=8G")
    session.tell("0.00@0 trains. A more urgent job needs the whole of its node.")
    session.type("sbatch", *wish, "--wrap", "sleep 5")
    time.sleep(12.0)
    session.tell("Twelve seconds later; jobs that wait for another one are left out:")
    session.type(*QUEUE, without="Dependency")


def end_two(session: Session) -> None:
    """Cancel a cell, and let another one run out of time; then wait for all the rest."""
    session.until(lambda cells: cells["0.35@1"]["step"] >= 20)
    session.type("tgdp-sweep", "cancel", "twelve/0.35@1", "--yes")
    session.until(lambda cells: cells["0.50@1"]["step"] >= 20)
    job = session.cells()["0.50@1"]["job"]
    session.tell("The time limit of 0.50@1 is set to one minute, which is all but over.")
    session.type("scontrol", "update", f"jobid={job}", "timelimit=1")
    waits = ("running", "queued", "trained", "new")
    session.until(lambda cells: all(cell["state"] not in waits for cell in cells.values()))
    session.type("tgdp-sweep", "status", "twelve")


def mend(session: Session) -> None:
    """Have the rest done."""
    run = session.cells()["0.20@1"]["run"]
    session.tell(
        "What failed and what ran out of time is marked; what was cancelled needs no mark."
    )
    session.type("rmdir", f"slurm/runs/{run}/events.jsonl")
    session.type("tgdp-sweep", "retry", "twelve", "--failed", "--timeout")
    where = ("--cluster", "slurm", "--profile", "session-once", "--wait")
    session.type("tgdp-sweep", "twelve", *SET, *where)
    session.type("tgdp-sweep", "status", "twelve")
    session.tell("What SLURM noted, each start of a job in a line:")
    session.type(*STARTS)


if __name__ == "__main__":
    main()
