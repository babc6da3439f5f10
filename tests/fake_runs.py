"""Run directories as jobs write them, with numbers that are made up but always the same."""

import json
import math
import os
from pathlib import Path

from tgdp.config import dump, override
from tgdp.data.files import write_whole
from tgdp.presets import tiny
from tgdp.sweep.declare import Cell, Sweep, expand
from tgdp.sweep.discover import load_sweep
from tgdp.training.run_directory import RunDirectory, State, Status

START = 1_760_000_000_000
"""Time stamp of the first event, milliseconds."""

ENVIRONMENT = {"commit": "abc1234", "cpu": "Z80", "gpu_models": [], "packages": {"torch": "2.13.0"}}

PEAK = {"0.00": 0.18, "0.20": 0.20, "0.50": 0.24, "0.65": 0.21, "0.75": 0.15}


def masking() -> Sweep:
    return load_sweep("masking")


def cells(fingerprint: str = "3fa9c2", seeds: tuple[int, ...] = (0, 1)) -> tuple[Cell, ...]:
    base = override(tiny(), {"data.fingerprint": fingerprint, "runtime.log_every": 10})
    return expand(masking(), base, seeds)


def write_run(
    results: Path,
    cell: Cell,
    state: State = "done",
    steps: int = 50,
    error: str = "",
    shift: float = 0.0,
) -> RunDirectory:
    run = RunDirectory(results / "runs" / cell.signature)
    run.create(dump(cell.config))
    write_whole(run.environment_file, json.dumps(ENVIRONMENT))
    append_steps(run, cell, 10, steps, shift=shift)
    if state == "done":
        write_result(run, cell)
    set_state(run, state, steps, error)
    return run


def append_steps(
    run: RunDirectory, cell: Cell, first: int, last: int, attempt: int = 1, shift: float = 0.0
) -> None:
    for step in range(first, last + 1, 10):
        loss = 4 * math.exp(-step / 200) + 0.1 * cell.seed + shift
        run.append(
            {
                "time": START + 1000 * step + 100_000_000 * (attempt - 1),
                "kind": "metric",
                "step": step,
                "values": {
                    "train/loss/total": loss,
                    "train/loss/contrastive": loss / 2,
                    "perf/samples_per_s": 100.0 + attempt,
                },
            }
        )


def write_result(run: RunDirectory, cell: Cell, on_training_clips: bool = False) -> None:
    peak = PEAK[cell.variant.label] + 0.01 * cell.seed
    dataset = cell.config.data.name
    metrics = {
        f"retrieval/{dataset}/{way}/r{k}": min(1.0, round(peak * factor * more, 4))
        for way, factor in (("a2v", 1.0), ("v2a", 1.1))
        for k, more in ((1, 1.0), (5, 2.0), (10, 3.0))
    }
    result = {
        "protocol": "retrieval/v1",
        "dataset": dataset,
        "split": "retrieval",
        "n": 300,
        "missing": [],
        "metrics": metrics,
        "on_training_clips": on_training_clips,
        "seconds": 71.2,
    }
    write_whole(run.result_file, json.dumps(result))


def set_state(run: RunDirectory, state: State, step: int, error: str = "") -> None:
    run.set_status(
        Status(
            state=state,
            step=step,
            total_steps=500,
            seconds=12.0,
            attempt=1,
            host=os.uname().nodename,
            pid=os.getpid(),
            updated=(START + 1000 * step) / 1000 + 5,
            error=error,
        )
    )


def write_all(results: Path, steps: int = 50) -> tuple[Cell, ...]:
    """Write a finished masking sweep: five rows, two seeds."""
    made = cells()
    for cell in made:
        write_run(results, cell, steps=steps)
    return made
