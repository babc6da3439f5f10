"""What is written down of a step: events, status, a line of progress."""

import json
import logging

import pytest
import torch

from tgdp import presets
from tgdp.losses.objective import Losses
from tgdp.model.schedules import Moment
from tgdp.training.learner import Lost
from tgdp.training.meter import Meter
from tgdp.training.recorder import Recorder
from tgdp.training.run_directory import RunDirectory
from tgdp.training.update import Update

LOSSES = Losses(total=torch.tensor(2.0), contrastive=torch.tensor(2.0))
TAKEN = Update(LOSSES, torch.tensor(1.0), is_taken=True, is_lost=False)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    made = RunDirectory(tmp_path / "run")
    made.create("")
    return made


def start(run: RunDirectory, step: int = 0) -> Recorder:
    meter = Meter(presets.tiny(), torch.device("cpu"), pairs=48)
    return Recorder(run, presets.tiny(), meter, total_steps=1000, step=step)


def test_a_loss_that_was_not_computed_is_left_out_and_not_written_as_zero(run):
    start(run).record(Moment(9, 1000, 0), TAKEN, {"train/learning_rate": 0.1}, lambda: 0.0)
    (event,) = run.events()
    pace = {name: event["values"].pop(name) for name in list(event["values"]) if "perf" in name}
    assert set(pace) == {"perf/samples_per_s", "perf/data_wait", "perf/peak_memory_gib"}
    assert pace["perf/samples_per_s"] > 0
    assert pace["perf/peak_memory_gib"] > 0
    assert (event["step"], event["values"]) == (
        10,
        {
            "train/loss/total": 2.0,
            "train/loss/contrastive": 2.0,
            "train/learning_rate": 0.1,
            "train/grad_norm": 1.0,
        },
    )


def test_only_every_tenth_step_and_the_last_are_written(run):
    recorder = start(run)
    for step in (*range(25), 999):
        recorder.record(Moment(step, 1000, 0), TAKEN, {}, lambda: 0.0)
    assert [event["step"] for event in run.events()] == [10, 20, 1000]


def test_the_line_says_how_it_goes_and_when_it_ends(run, caplog):
    with caplog.at_level(logging.INFO, "tgdp.training.recorder"):
        start(run, step=5).record(Moment(9, 1000, 0), TAKEN, {}, lambda: 1e9)
    (line,) = caplog.messages
    assert line.startswith("step 10/1000, loss 2, contrastive 2, gradient 1, ")
    assert " samples/s, data wait 100 %, " in line
    assert line.endswith(" left")
    status = run.status()
    assert (status.step, status.total_steps, status.loss, status.data_wait) == (10, 1000, 2.0, 1.0)
    assert status.mfu is None


def test_a_skipped_step_is_written_with_the_clips_of_its_batch(run):
    losses = Losses(total=torch.tensor(float("nan")))
    update = Update(losses, torch.tensor(float("inf")), is_taken=False, is_lost=True)
    recorder = start(run)
    recorder.lost(7, update, Lost(1, 1), ["-a", "b.c"], is_over=False)
    assert not run.diverged_file.exists()
    recorder.lost(8, update, Lost(2, 2), ["d", "e"], is_over=True)
    first, second = run.events()
    assert (first["kind"], first["step"], first["clips"]) == ("skip", 7, ["-a", "b.c"])
    assert first["values"] == {"train/loss/total": "nan", "train/grad_norm": "inf"}
    assert json.loads(run.diverged_file.read_text()) == {
        key: second[key] for key in ("step", "in_a_row", "clips", "values")
    }
