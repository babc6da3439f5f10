"""GPU time of runs whose jobs the scheduler knows, has forgotten, or never had."""

import json
from pathlib import Path

import pytest

from tgdp.sweep.gpu_hours import gpu_seconds, wasted_gpu_seconds
from tgdp.sweep.slurm.listing import SchedulerJob
from tgdp.training.run_directory import RunDirectory, Status

HOURS_8_S = 28_800.0

STATUS = Status(
    "done", seconds=HOURS_8_S, saved_seconds=HOURS_8_S, lost_seconds=3600.0, updated=1.0
)

TRAINED = SchedulerJob("7", "COMPLETED", elapsed_s=29_000.0, gpus=8, gpu_s=232_000.0)
EVALUATED = SchedulerJob("8", "COMPLETED", elapsed_s=480.0, gpus=1, gpu_s=480.0)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """Return a run that saw eight GPUs."""
    made = RunDirectory(tmp_path / "run")
    made.create("seed: 0")
    made.environment_file.write_text(json.dumps({"gpus": ["H100"] * 4, "nodes": 2}))
    return made


def test_the_scheduler_counts_where_it_knows_every_job(run: RunDirectory) -> None:
    assert gpu_seconds(run, STATUS, [TRAINED, EVALUATED]) == 232_480.0
    assert wasted_gpu_seconds(run, STATUS, [TRAINED, EVALUATED]) == 8 * 3600.0


def test_the_clock_of_the_run_counts_where_a_job_is_forgotten(run: RunDirectory) -> None:
    assert gpu_seconds(run, STATUS, [None, EVALUATED]) == 230_400.0
    assert gpu_seconds(run, STATUS, [None, None]) == 230_400.0
    assert gpu_seconds(run, STATUS, ()) == 230_400.0
    # What was lost was lost in training, on as many GPUs.
    assert wasted_gpu_seconds(run, STATUS, [None, EVALUATED]) == 8 * 3600.0


def test_a_forgotten_job_that_never_ran_takes_nothing_away(run: RunDirectory) -> None:
    assert gpu_seconds(run, STATUS, [TRAINED, None]) == 232_000.0


def test_what_the_run_does_not_say_the_scheduler_does(run: RunDirectory) -> None:
    run.environment_file.unlink()
    assert gpu_seconds(run, STATUS, [None, TRAINED._replace(gpu_s=0.0)]) == 230_400.0
    assert gpu_seconds(run, Status("running"), [None, EVALUATED]) == 480.0


def test_a_run_on_a_cpu_costs_no_gpu(run: RunDirectory) -> None:
    run.environment_file.write_text(json.dumps({"gpus": []}))
    assert gpu_seconds(run, STATUS, ()) == gpu_seconds(run, STATUS, [None]) == 0.0
    assert wasted_gpu_seconds(run, STATUS, ()) == 0.0
