"""`tgdp-eval retrieval`, `probe` and `all` on a run: figures, rows beside them, the cache."""

import json
import re
import shutil
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.cli.evaluate import app
from tgdp.config import dump, override, signature
from tgdp.errors import UserError
from tgdp.evaluation import feature_reader
from tgdp.evaluation.feature_request import FeatureRequest
from tgdp.evaluation.features import StoredFeatures
from tgdp.evaluation.probe.settings import RATES, ProbeSettings
from tgdp.evaluation.run import execute
from tgdp.evaluation.subject import open_subject
from tgdp.model.encoder import Encoder
from tgdp.training.run_directory import RunDirectory

SMALL = {
    **SMALL_MODEL,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "training.batch_size": 8,
    "training.steps": 6,
    "data.name": "test",
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.threads": 1,
    "runtime.evaluate_every": 2,
}


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory) -> RunDirectory:
    config = override(presets.tiny(), {**SMALL, "data.folder": str(prepared([1.6] * 40))})
    made = RunDirectory(tmp_path_factory.mktemp("results") / "runs" / signature(config))
    made.create(dump(config))
    assert execute(made, config, lambda: False)
    return made


def invoke(run: RunDirectory, *words: object) -> Any:
    results = run.path.parents[1]
    done = CliRunner().invoke(app, [*map(str, words), "--results", str(results)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def call(run: RunDirectory, *words: object) -> str:
    return invoke(run, *words).stdout


def plain(table: str) -> str:
    return " ".join(table.split())


def test_retrieval_says_what_the_run_found_with_intervals_and_the_rows_beside_it(run, tmp_path):
    out = tmp_path / "found" / "r.json"
    found = json.loads(call(run, "retrieval", run.path, "--sanity", "--json", "--out", out))
    assert json.loads(out.read_text()) == found
    result = run.result()
    assert result is not None
    for part in ("metrics", "intervals"):
        versioned = {
            name.replace("retrieval/", "retrieval/v1/"): v for name, v in result[part].items()
        }
        assert found[part] == versioned
    for name, (low, high) in found["intervals"].items():
        assert low <= found["metrics"][name] <= high
    assert (found["weights"], found["which"], found["split"]) == ("step 6", "last", "test")
    card = json.loads((Path(found_data(run)) / "dataset.json").read_text())
    assert found["fingerprint"] == card["fingerprint"]
    # The data is not the embedded benchmark, so there is no oracle.
    assert list(found["sanity"]) == ["untrained", "mean embedding"]
    assert found["sanity"]["mean embedding"]["a2v/r1"] == 0.0
    table = call(run, "retrieval", run.path)
    assert "95 % intervals: over clips, not over trainings" in table
    assert "retrieval/v1, split 'test', N = 20 clips, step 6" in table
    kept = [path for path in (run.path.parents[1] / "features").iterdir() if path.is_dir()]
    assert len(kept) == 2  # of this encoder and of the untrained one


def found_data(run: RunDirectory) -> str:
    return yaml.safe_load(run.config_file.read_text())["data"]["folder"]


def test_retrieval_by_class_is_that_of_all_where_every_clip_has_both_labels(run):
    found = json.loads(call(run, "retrieval", run.path, "--json"))
    assert [(row["mid"], row["n"]) for row in found["per_class"]] == [("a", 20), ("b", 20)]
    for row in found["per_class"]:
        for name, value in found["metrics"].items():
            assert row[name.removeprefix("retrieval/v1/test/")] == value
    assert found["unlabelled"] == 0


def test_clips_without_a_label_have_no_row_and_cannot_be_probed(run, tmp_path):
    bare = shutil.copytree(found_data(run), tmp_path / "bare")
    lines = [json.loads(line) for line in (bare / "samples.jsonl").read_text().splitlines()]
    for line in lines:
        if line["split"] == "test":
            line["labels"] = []
    (bare / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    words = (run.path, "--data", bare)
    found = json.loads(call(run, "retrieval", *words, "--json"))
    assert (found["per_class"], found["unlabelled"]) == ([], 20)
    assert "20 clips without a label stand in no class" in call(run, "retrieval", *words)
    splits = ("--train-split", "train", "--test-split", "test")
    reason = f"{bare}: none of the 20 clips of split 'test' has a label"
    with pytest.raises(UserError, match=re.escape(reason)):
        call(run, "probe", *words, *splits)
    # The rest is measured, and what is not is named with its reason.
    printed = plain(call(run, "all", *words, *splits))
    assert "audio → video" in printed
    assert f"Not measured: probe-attention/v1 of av, probe-linear/v1 of av: {reason}" in printed


def test_the_weights_can_be_chosen(run):
    best = json.loads(call(run, "retrieval", run.path, "--which", "best", "--json"))
    kept = json.loads((run.path / "checkpoints" / "best.json").read_text())
    assert best["weights"] == f"step {kept['step']}"
    ways = [value for name, value in best["metrics"].items() if name.endswith("/r1")]
    assert sum(ways) / 2 == pytest.approx(kept["value"])
    assert all(name.startswith("retrieval/v1/test/best/") for name in best["metrics"])
    teacher = json.loads(call(run, "retrieval", run.path, "--which", "teacher", "--json"))
    assert (teacher["weights"], teacher["which"]) == ("teacher, step 6", "teacher")
    assert all(name.startswith("retrieval/v1/test/teacher/") for name in teacher["metrics"])
    for word in ("6", "step-6"):
        named = json.loads(call(run, "retrieval", run.path, "--which", word, "--json"))
        assert named["which"] == "step-6"
    with pytest.raises(UserError, match="3"):
        call(run, "retrieval", run.path, "--which", "3")


def test_the_status_says_what_was_measured_last_in_training(run):
    values = [event["values"] for event in run.events() if event["kind"] == "metric"]
    measured = [found for found in values if "retrieval/test/mean_r1" in found]
    assert measured
    assert run.status().r1 == measured[-1]["retrieval/test/a2v/r1"]


def test_a_checkpoint_file_is_what_it_holds_or_its_teacher(run, tmp_path):
    best, last = run.checkpoints / "best.pt", run.checkpoints / "step-00000006.pt"
    subject = open_subject(last)
    assert (subject.which, subject.weights) == ("step-6", "step 6")
    assert subject.run is not None
    assert subject.run.path == run.path
    assert open_subject(best).which == "best"
    teacher = open_subject(last, which="teacher")
    assert (teacher.which, teacher.weights) == ("teacher-step-6", "teacher, step 6")
    ours, theirs = (each.encoder.state_dict() for each in (subject, teacher))
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    for word in ("best", "4"):
        with pytest.raises(UserError, match=f"--which {word}: .* is one checkpoint. Valid: last"):
            open_subject(last, which=word)
    alone = shutil.copy(last, tmp_path / "mine.pt")
    elsewhere = open_subject(alone)
    assert (elsewhere.which, elsewhere.run) == ("last", None)


@pytest.fixture
def few_steps(monkeypatch):
    """Probes of 60 steps."""
    fewer = partialmethod(ProbeSettings.__init__, min_steps=60)
    monkeypatch.setattr(ProbeSettings, "__init__", fewer)


@pytest.mark.usefixtures("few_steps")
def test_a_probe_is_trained_on_one_split_and_tested_on_another(run):
    words = ("probe", run.path, "--probe", "linear", "--seeds", 1)
    found = json.loads(
        call(run, *words, "--train-split", "train", "--test-split", "test", "--json")
    )
    # Clips of one split have one label, of the other two, as the fixture makes them.
    assert found["settings"]["task"] == "multilabel"
    assert (found["protocol"], found["n"], found["num_train"]) == ("probe-linear/v1", 20, 20)
    assert (found["train_split"], found["split"], found["modality"]) == ("train", "test", "av")
    # Of two labels one is on every clip: that one is told by its frequency alone.
    value = found["metrics"]["probe-linear/v1/test/av/map"]
    assert 0.5 <= value < 1.001
    assert value == pytest.approx(sum(row["ap"] for row in found["per_class"]) / 2)
    table = call(run, *words, "--modality", "a", "--task", "multilabel")
    assert "test, probe-linear/v1 of a" in table
    assert "multilabel, step 6: 20 clips of 'train' to train, N = 20 of 'test'" in plain(table)
    with pytest.raises(
        UserError, match=r"no split 'nosuch'; choose one with --test-split. Valid: "
    ):
        call(run, *words, "--test-split", "nosuch")


@pytest.mark.usefixtures("few_steps")
def test_all_measures_everything_from_features_that_are_read_once(run, monkeypatch):
    monkeypatch.setitem(RATES, "attention", (1e-3,))
    monkeypatch.setitem(RATES, "linear", (1e-2,))
    opened: list[tuple[str, str]] = []
    plain_extract = feature_reader.extract

    def counting(encoder: Encoder, request: FeatureRequest, *rest: Any) -> StoredFeatures:
        opened.append((request.split, request.way.view))
        return plain_extract(encoder, request, *rest)

    monkeypatch.setattr(feature_reader, "extract", counting)
    words = ("--train-split", "train", "--test-split", "test", "--seeds", 1, "--modality", "a,v")
    found = json.loads(call(run, "all", run.path, *words, "--sanity", "--json"))
    assert found["not_measured"] == []
    assert [(one["protocol"], one.get("modality")) for one in found["results"]] == [
        ("retrieval/v1", None),
        ("probe-attention/v1", "a"),
        ("probe-attention/v1", "v"),
        ("probe-linear/v1", "a"),
        ("probe-linear/v1", "v"),
    ]
    # The second of the same name is that of the untrained encoder.
    branches = [("train", "branch"), ("test", "branch")]
    assert opened == [("test", "global"), ("test", "global"), *branches]
    names = [name for one in found["results"] for name in one["metrics"]]
    assert len(names) == len(set(names))
    assert found["results"][0]["sanity"].keys() == {"untrained", "mean embedding"}


def test_all_names_what_cannot_be_had_and_fails_only_where_nothing_can(run):
    words = ("--train-split", "train", "--test-split", "nosuch")
    found = invoke(run, "all", run.path, *words, "--json")
    refused = json.loads(found.stdout)["not_measured"]
    assert [one["what"] for one in refused] == ["probe-attention/v1 of av", "probe-linear/v1 of av"]
    assert all("no split 'nosuch'" in one["why"] for one in refused)
    assert "Not measured: probe-attention/v1 of av, probe-linear/v1 of av" in found.stderr
    with pytest.raises(UserError, match=r"unknown split 'nowhere'.*no split 'nosuch'"):
        call(run, "all", run.path, *words, "--split", "nowhere")
    with pytest.raises(UserError, match=r"unknown --modality 'x'.*a, av, v"):
        call(run, "all", run.path, "--modality", "a,x")


def test_what_cannot_be_written_is_said(run):
    with pytest.raises(UserError, match=r"--out /proc/no\.json: cannot be written"):
        call(run, "retrieval", run.path, "--out", Path("/proc/no.json"))
