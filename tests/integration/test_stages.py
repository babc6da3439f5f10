"""Training and evaluation as two jobs: what one process gives, and no step twice."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from same_run import differing, everything, measured, metrics
from small_run import FRAME, resolved

from tgdp.config import Config, dump, override
from tgdp.sweep.job import Job
from tgdp.sweep.stages import IN_TWO, WHOLE, Stage
from tgdp.training.retention import path_of
from tgdp.training.run_directory import RunDirectory, State

STEPS = 4


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared([1.6] * 12, size=FRAME)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return a run that one process trained and evaluated."""
    run, config = resolved(data, tmp_path_factory.mktemp("whole"), training__steps=STEPS)
    assert work(run, config, WHOLE.train) == "done"
    return run


def work(run: RunDirectory, config: Config, stage: Stage) -> State | None:
    job = Job(str(run.path), dump(config), stage.execute)
    return replace(job, settled=stage.settled, leaves=stage.leaves)()


def trained(data: Path, folder: Path) -> tuple[RunDirectory, Config]:
    run, config = resolved(data, folder, training__steps=STEPS)
    assert work(run, config, IN_TWO.train) == "trained"
    assert run.result() is None
    return run, config


def taken(run: RunDirectory) -> list[int]:
    return [step for step, values in metrics(run) if "train/loss/total" in values]


def same(run: RunDirectory, other: RunDirectory) -> None:
    assert not differing(everything(run), everything(other))
    assert metrics(run) == metrics(other)
    assert measured(run) == measured(other)


def test_two_jobs_give_what_one_gives(data, whole, tmp_path) -> None:
    run, config = trained(data, tmp_path)
    assert work(run, config, IN_TWO.evaluate) == "done"
    same(run, whole)


def test_one_process_ends_what_a_sweep_has_trained_without_a_step(data, whole, tmp_path) -> None:
    run, config = trained(data, tmp_path)
    before = [event for event in run.events() if event["kind"] == "metric"]
    assert work(run, config, WHOLE.train) == "done"
    after = [event for event in run.events() if event["kind"] == "metric"]
    assert after[:-1] == before
    same(run, whole)


def test_other_data_is_refused_and_the_right_one_is_enough(data, whole, tmp_path) -> None:
    run, config = trained(data, tmp_path)
    other = override(config, {"data.fingerprint": "0" * 16})
    assert work(run, other, IN_TWO.evaluate) == "failed"
    status = run.status()
    assert "data.fingerprint is 0000000000000000" in status.error
    assert status.mendable
    assert IN_TWO.next(status) == IN_TWO.evaluate
    assert work(run, config, IN_TWO.evaluate) == "done"
    same(run, whole)


def test_a_damaged_last_checkpoint_is_no_model_to_evaluate(data, whole, tmp_path) -> None:
    run, config = trained(data, tmp_path)
    last = path_of(run.checkpoints, STEPS)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    assert work(run, config, IN_TWO.evaluate) == "failed"
    status = run.status()
    assert f"{last}: missing or damaged" in status.error
    assert f"the newest whole checkpoint is of step {STEPS - 2}" in status.error
    # Its last steps are taken again, and then it is evaluated.
    assert IN_TWO.next(status) == IN_TWO.train
    assert work(run, config, IN_TWO.train) == "trained"
    assert taken(run) == list(range(1, STEPS + 1))
    assert work(run, config, IN_TWO.evaluate) == "done"
    same(run, whole)
