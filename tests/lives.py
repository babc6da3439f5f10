"""Sweeps whose runs are in every state, as the tests of their life need them."""

import json
import time
from pathlib import Path

from typer.testing import CliRunner, Result

from tests.fake_runs import masking, write_run
from tgdp.cli.sweep import build_app
from tgdp.sweep.declare import Cell, expand
from tgdp.sweep.records import note
from tgdp.sweep.resolve import Words, resolve_base
from tgdp.sweep.slurm.jobs import JobRecord, append
from tgdp.training.run_directory import RunDirectory, State

WORDS = "tiny on embedded"

HOUR_AGO = time.time() - 3600


def noted(results: Path, seeds: tuple[int, ...] = (0,)) -> tuple[Cell, ...]:
    """Return the runs of `masking`, noted as a launch notes them."""
    sweep = masking()
    cells = expand(sweep, resolve_base(sweep, Words(), results).config, seeds)
    note(results, sweep, cells, WORDS)
    return cells


def run_of(results: Path, cell: Cell) -> RunDirectory:
    """Return the directory of a run."""
    return RunDirectory(results / "runs" / cell.signature)


def submitted(
    results: Path,
    cell: Cell,
    job: str,
    state: State | None = None,
    at: float = HOUR_AGO,
    **fields: str | float,
) -> RunDirectory:
    """Return a run that a cluster was given as a job, as far as a state."""
    run = write_run(results, cell, state) if state else run_of(results, cell)
    run.path.mkdir(parents=True, exist_ok=True)
    folder = results / ".submissions" / "one"
    array = job.partition("_")[0] if "_" in job else None
    words = {"stage": "train", "profile": "test", "user": "me", "folder": str(folder)}
    words |= {"log": str(folder / job / f"{job}_0_log.out"), **fields}
    append(run, JobRecord(job=job, array=array, submitted=at, **words))  # type: ignore[arg-type]
    return run


def call(results: Path, *words: str, answer: str | None = None) -> Result:
    """Run `tgdp-sweep` in this process."""
    command = [*words, "--results", str(results)]
    return CliRunner().invoke(build_app(), command, input=answer)


def data(results: Path, *words: str):
    """Return what a command says with `--json`."""
    done = call(results, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)
