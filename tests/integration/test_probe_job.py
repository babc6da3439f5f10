"""A probe of a real run, as the job that measures it."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from kill_process import Attempt
from small_run import FRAME, resolved

from tgdp.config import Config, dump, override
from tgdp.evaluation.prober import open_prober
from tgdp.sweep.logs import error_since
from tgdp.sweep.probe_job import ProbeJob
from tgdp.sweep.probes import Probe
from tgdp.training.retention import path_of
from tgdp.training.run_directory import RunDirectory

STEPS = 4
PROBE = Probe("linear", "a", "train", "test")


@pytest.fixture
def done(prepared, tmp_path: Path) -> tuple[RunDirectory, Config]:
    run, config = resolved(prepared([1.6] * 16, size=FRAME), tmp_path, training__steps=STEPS)
    assert Attempt(run, config).join() == 0
    return run, config


def test_it_measures_the_last_step_once_and_leaves_the_run_as_it_is(done) -> None:
    run, config = done
    job = ProbeJob(str(run.path), dump(config), (PROBE,))
    former = (run.status(), run.environment_file.read_text(), list(run.events()))
    assert job() == 0
    assert (run.status(), run.environment_file.read_text(), list(run.events())) == former
    (file,) = run.evaluations.iterdir()
    assert file.name == "probe-linear-v1-test-test-last-a.json"
    (found,) = run.evaluation_results()
    facts = ("protocol", "dataset", "train_split", "split", "which", "weights", "modality")
    wanted = ["probe-linear/v1", "test", "train", "test", "last", f"step {STEPS}", "a"]
    assert [found[name] for name in facts] == wanted
    assert found["fingerprint"] == config.data.fingerprint
    assert found["settings"]["task"] == "multilabel"
    assert 0 < found["metrics"]["probe-linear/v1/test/a/map"] <= 1
    assert found["environment"]["packages"]["torch"]

    before = file.stat().st_mtime_ns
    assert job() == 0
    assert file.stat().st_mtime_ns == before


def test_asked_to_stop_it_measures_nothing_more(done) -> None:
    run, config = done
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(len(asked))
        return True

    assert open_prober(run, config, should_stop)(*PROBE) is None
    assert asked == [0]
    assert not run.evaluations.exists()


def test_without_its_last_checkpoint_a_run_is_not_probed_by_an_older_one(done) -> None:
    run, config = done
    path_of(run.checkpoints, STEPS).unlink()
    assert ProbeJob(str(run.path), dump(config), (PROBE,))() == 1
    assert run.status().state == "done"
    said = error_since(run, 0)
    assert "missing or damaged" in said
    assert "delete result.json" in said
    assert run.evaluation_results() == []


def test_other_data_is_refused(done) -> None:
    run, config = done
    other = override(config, {"data.fingerprint": "0" * 16})
    assert ProbeJob(str(run.path), dump(other), (PROBE,))() == 1
    assert json.loads(run.status_file.read_text())["state"] == "done"
    assert "data.fingerprint is 0000000000000000" in error_since(run, 0)
