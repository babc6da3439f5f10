"""Evaluations kept in the folder of their run."""

import json
from pathlib import Path
from typing import Any

import pytest

from tgdp.errors import UserError
from tgdp.evaluation.record import keep, metric_prefix
from tgdp.training.run_directory import RunDirectory

NAME = "probe-linear/v1/embedded/av/map"


def evaluation(**fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = {
        "protocol": "probe-linear/v1",
        "dataset": "embedded",
        "split": "probe_test",
        "which": "last",
        "modality": "av",
        "metrics": {NAME: 0.5},
    }
    return {name: value for name, value in {**found, **fields}.items() if value is not None}


def test_a_file_is_named_by_protocol_data_split_weights_and_modality(tmp_path: Path):
    file = keep(RunDirectory(tmp_path), evaluation())
    name = "probe-linear-v1-embedded-probe_test-last-av.json"
    assert file == tmp_path / "evaluations" / name
    assert json.loads(file.read_text()) == evaluation()


def test_a_second_evaluation_of_a_name_replaces_the_first_one(tmp_path: Path):
    run = RunDirectory(tmp_path)
    keep(run, evaluation())
    keep(run, evaluation(metrics={NAME: 0.75}))
    assert [found["metrics"][NAME] for found in run.evaluation_results()] == [0.75]
    assert [path.suffix for path in run.evaluations.iterdir()] == [".json"]


def test_evaluations_are_read_in_the_order_of_their_names(tmp_path: Path):
    run = RunDirectory(tmp_path)
    assert run.evaluation_results() == []
    best = metric_prefix("retrieval/v1", "embedded", "best") + "a2v/r1"
    assert best == "retrieval/v1/embedded/best/a2v/r1"
    retrieval = {"protocol": "retrieval/v1", "which": "best", "modality": None}
    keep(run, evaluation(**retrieval, metrics={best: 0.1}))
    keep(run, evaluation())
    assert [found["which"] for found in run.evaluation_results()] == ["last", "best"]


@pytest.mark.parametrize("field", ["protocol", "dataset", "split", "which", "metrics"])
def test_an_evaluation_without_one_of_its_fields_is_refused(tmp_path: Path, field: str):
    with pytest.raises(UserError, match=field):
        keep(RunDirectory(tmp_path), evaluation(**{field: None}))
    assert not (tmp_path / "evaluations").exists()


def test_a_metric_must_carry_the_version_it_was_counted_by(tmp_path: Path):
    with pytest.raises(UserError, match="'probe/embedded/av/map' does not begin with"):
        keep(RunDirectory(tmp_path), evaluation(metrics={"probe/embedded/av/map": 0.5}))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_is_no_evaluation_is_named(tmp_path: Path, text: str):
    run = RunDirectory(tmp_path)
    run.evaluations.mkdir()
    (run.evaluations / "mine.json").write_text(text)
    with pytest.raises(UserError, match=r"mine\.json"):
        run.evaluation_results()
