"""`tgdp-bench sweep`: how long `plan` and `status` take over very many runs of a cluster.

The runs are files in a temporary folder, and `squeue` and `sacct` are scripts that print a listing,
so that what is timed is ours alone.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from tgdp.bench.timing import Timing, measure
from tgdp.config import dump
from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, expand
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.last_launch import LastLaunch, remember
from tgdp.sweep.records import note
from tgdp.sweep.resolve import Words, resolve_base
from tgdp.sweep.slurm.listing import SACCT_FIELDS, SQUEUE_FIELDS

SEEDS = 10

STATES = ("done", "running", "interrupted", "failed")

DECLARATION = """\
'''Very many runs.'''
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

ROWS = tuple(
    Variant(str(row), {{"contrastive.mask.ratio": row / (2 * {rows})}}) for row in range({rows})
)
SWEEP = Sweep("many", "Many", "How long?", "", ROWS, RETRIEVAL, seeds=tuple(range({seeds})))
"""


def time_many(folder: Path, cells: int, runs: int) -> list[tuple[str, str, str, str]]:
    """Return a row for each command: its name, its median, its spread, its CPU time.

    Args:
        folder: An empty one.
        cells: Runs of the sweep, a multiple of ten.
        runs: Timings that count.

    Raises:
        UserError: The number of cells is no multiple of ten.
    """
    if cells % SEEDS:
        raise UserError(f"--cells {cells}: has to be a multiple of {SEEDS}")
    sweeps = folder / "sweeps"
    sweeps.mkdir()
    text = DECLARATION.format(rows=cells // SEEDS, seeds=SEEDS)
    (sweeps / "many.py").write_text(text, encoding="utf-8")
    sweep, results = load_sweep(sweeps / "many.py"), folder / "results"
    words = Words()
    base = resolve_base(sweep, words, results).config
    every = expand(sweep, base)
    note(results, sweep, every, words.describe(base.data.name))
    remember(results, sweep.name, LastLaunch(words))
    _make(every, results, folder / "bin")
    return [_row(*timed) for timed in _timings(folder, runs)]


def _timings(folder: Path, runs: int) -> list[tuple[Timing, float]]:
    environment = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    program = Path(sys.executable).with_name("tgdp-sweep")
    found: list[tuple[Timing, float]] = []
    for word in ("plan", "status"):
        command = [str(program), word, "many"]
        before = _cpu_seconds()

        def work(command: list[str] = command) -> None:
            subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment)

        timing = measure(f"tgdp-sweep {word}", work, runs)
        found.append((timing, (_cpu_seconds() - before) / (runs + 1)))
    return found


def _row(timing: Timing, cpu_s: float) -> tuple[str, str, str, str]:
    name, median, spread, _ = timing.row()
    return name, median, spread, f"{cpu_s:.2f} s of CPU"


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _make(cells: tuple[Cell, ...], results: Path, programs: Path) -> None:
    """Write runs in every state, two jobs each, and what the scheduler says of them."""
    config, queue, accounts = dump(cells[0].config), list[str](), list[str]()
    for number, cell in enumerate(cells):
        state, run = STATES[number % len(STATES)], results / "runs" / cell.signature
        run.mkdir(parents=True)
        (run / "config.yaml").write_text(config)
        status = {"state": state, "step": 50, "total_steps": 100, "loss": 1.5, "seconds": 30.0}
        status |= {"host": "elsewhere", "pid": 1, "updated": time.time()}
        (run / "status.json").write_text(json.dumps(status))
        if state == "done":
            (run / "result.json").write_text(json.dumps({"metrics": {}}))
        lines: list[str] = []
        for stage, array in (("train", 1), ("evaluate", 2)):
            job = f"{100 * array + number // 1000}_{number % 1000}"
            lines.append(json.dumps(_record(job, stage)))
            accounts.append(_line(SACCT_FIELDS, JobID=job, State="COMPLETED", ElapsedRaw="100"))
            if state == "running" and stage == "evaluate":
                queue.append(_line(SQUEUE_FIELDS, JobArrayID=job, State="PENDING") + "|")
        (run / "jobs.jsonl").write_text("".join(f"{line}\n" for line in lines))
    programs.mkdir()
    for name, listed in (("squeue", queue), ("sacct", accounts)):
        write_whole(programs / f"{name}.txt", "".join(f"{line}\n" for line in listed))
        (programs / name).write_text(f"#!/bin/sh\nexec cat {programs / name}.txt\n")
        (programs / name).chmod(0o755)


def _record(job: str, stage: str) -> dict[str, object]:
    where = {"folder": "/submissions/one", "log": f"/submissions/one/{job}/{job}_0_log.out"}
    words = {"job": job, "array": job.partition("_")[0], "stage": stage, "profile": "many"}
    return {**words, "submitted": time.time() - 3600, "user": "me", **where}


def _line(fields: tuple[str, ...], **words: str) -> str:
    return "|".join(words.get(name, "") for name in fields)
