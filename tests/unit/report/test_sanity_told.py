"""What the evaluations behind a column of probes say, and do not say, for its sanity rows."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.fake_runs import cells, masking, write_run
from tgdp.evaluation.probe.metrics import multilabel_metrics, singlelabel_metrics
from tgdp.evaluation.probe.settings import ProbeSettings
from tgdp.evaluation.record import keep
from tgdp.report import published
from tgdp.report.build import build
from tgdp.report.collect import collect
from tgdp.report.sanity_probes import chance, told
from tgdp.report.sanity_request import Request
from tgdp.sweep import track

COLUMN = "probe-linear/v1/embedded/av/map"
SETTINGS = ProbeSettings(kind="linear", rates=(1e-2, 1e-3))
EVALUATION = {
    "protocol": "probe-linear/v1",
    "dataset": "embedded",
    "which": "last",
    "modality": "av",
    "split": "probe_test",
    "train_split": "probe_train",
    "fingerprint": "3fa9c2",
    "n": 8,
    "classes": 4,
    "per_class": [{"mid": "a", "n": 6}, {"mid": "b", "n": 2}],
    "settings": dataclasses.asdict(SETTINGS),
    "metrics": {COLUMN: 0.4},
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two seeds of one row, both probed."""
    results = tmp_path_factory.mktemp("results")
    made = [cell for cell in cells() if cell.variant.label == "0.50"]
    for cell in made:
        keep(write_run(results, cell, steps=10), EVALUATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        track.sync_sweep(results, masking(), made, "tiny on embedded")
        tracked = track.read(results)
    frame = collect(tracked, tracked.summaries[0])
    (table,) = build(masking(), tracked.summaries[0], frame, published.load(results))
    return table, tracked


@pytest.fixture
def after(built, tmp_path):
    """Return a function that says what is told once evaluations were changed: of the last run."""

    def known(change, first: int = 1):
        table, tracked = built
        (row,) = (row for row in table.rows if row.label == "0.50")
        runs = dict(tracked.runs)
        for name in row.signatures[first:]:
            former = runs[name].tags["tgdp.directory"]
            copied = shutil.copytree(former, tmp_path / name, dirs_exist_ok=True)
            (file,) = (copied / "evaluations").iterdir()
            evaluation = json.loads(file.read_text())
            change(evaluation)
            file.write_text(json.dumps(evaluation))
            tags = {**runs[name].tags, "tgdp.directory": str(copied)}
            runs[name] = dataclasses.replace(runs[name], tags=tags)
        elsewhere = dataclasses.replace(tracked, runs=runs)
        return told(table, len(table.sweep.metrics) - 1, elsewhere)

    return known


def test_what_all_evaluations_say_is_known(after):
    found = after(lambda one: one)
    assert (found.seeds, found.clips, found.chance) == ((0, 1), 8, pytest.approx(1 / 4))
    assert found.probe is not None
    assert found.probe.train_split == "probe_train"
    wanted = dataclasses.replace(SETTINGS, rates=(1e-3, 1e-2), resamples=0, map_resamples=0)
    assert found.probe.settings == wanted
    assert found.no_chance == found.no_probe == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda one: one.pop("train_split"), "run .* has no field 'train_split'"),
        (lambda one: one.pop("settings"), "run .* has no field 'settings'"),
        (lambda one: one["settings"].pop("epochs"), "settings .* of another version: epochs"),
        (lambda one: one["settings"].update(depth=2), "settings .* of another version: depth"),
        (lambda one: one["settings"].update(rates="fast"), "settings cannot be read: rates"),
        (lambda one: one["settings"].update(batch=0), "probe batch: 0 is not above 0"),
        (lambda one: one["settings"].update(epochs=9), "not probed alike: they differ in epochs"),
        (lambda one: one.update(train_split="train"), "they differ in train_split"),
    ],
)
def test_one_evaluation_that_does_not_say_enough_is_enough_not_to_know(after, change, why):
    found = after(change)
    assert found.probe is None
    assert re.search(why, found.no_probe)
    assert found.chance == pytest.approx(1 / 4)


def test_bootstraps_change_no_number(after):
    def change(one):
        one["settings"].update(resamples=9, map_resamples=9)

    assert after(change) == after(change, first=2)


def test_chance_asks_how_many_clips_each_class_has(after):
    def change(one):
        del one["per_class"]

    assert after(change).chance == pytest.approx(1 / 4)
    found = after(change, first=0)
    assert found.chance is None
    assert found.no_chance == "its evaluations do not say how many clips a class has"
    assert found.probe is not None


@pytest.mark.parametrize("change", [{"split": "test"}, {"fingerprint": "feed"}, {"metrics": {}}])
def test_an_evaluation_of_other_clips_or_another_number_is_not_asked(after, change):
    found = after(lambda one: one.update(change), first=0)
    assert (found.probe, found.chance, found.clips) == (None, None, 0)
    assert found.no_probe == found.no_chance == "evaluations/ of its runs is not on this machine"


def test_other_settings_are_another_file(after):
    probe = after(lambda one: one).probe
    start = Request("untrained", cells()[0].config, "probe-linear/v1", "f", "probe_test", probe)
    settings = {"modality": "a", "task": "singlelabel", "seeds": (0,), "rates": (1e-3,)}
    probes = [
        probe._replace(settings=dataclasses.replace(probe.settings, **{name: value}))
        for name, value in settings.items()
    ]
    probes += [probe._replace(train_split="other"), None]
    others = [dataclasses.replace(start, probe=one) for one in probes]
    others += [dataclasses.replace(start, split="test")]
    others += [dataclasses.replace(start, protocol="probe-linear/v2")]
    assert len({one.file(Path()) for one in (start, *others)}) == 1 + len(others)
    same = probe._replace(settings=dataclasses.replace(probe.settings, resamples=5))
    assert dataclasses.replace(start, probe=same).file(Path()) == start.file(Path())


def test_chance_of_map_is_what_equal_scores_have():
    hot = np.random.default_rng(0).random((40, 5)) < 0.3
    hot[:, 4] = False
    rows = [{"n": int(n)} for n in hot.sum(axis=0) if n]
    found = chance({"n": 40, "classes": 5, "per_class": rows}, "mAP")
    assert found == pytest.approx(multilabel_metrics(hot, np.ones((40, 5)))["map"])


def test_chance_of_top1_is_the_mean_over_the_classes_that_could_be_guessed():
    target = np.array([0] * 25 + [1] * 10 + [3] * 5)
    rows = [{"n": 25}, {"n": 10}, {"n": 5}]
    guesses = [np.tile(np.arange(5.0) == c, (40, 1)).astype(np.float64) for c in (0, 1, 3)]
    mean = np.mean([singlelabel_metrics(target, scores)["top1"] for scores in guesses])
    assert chance({"n": 40, "classes": 5, "per_class": rows}, "Top-1") == pytest.approx(mean)
