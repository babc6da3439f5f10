"""Probes from features to numbers: honest choice, frozen features, splits, refusals."""

import json
from dataclasses import asdict, replace

import jaxtyping
import numpy as np
import pytest
import torch

from tgdp.data.labels import LabelVocabulary
from tgdp.errors import UserError
from tgdp.evaluation.probe import run as running
from tgdp.evaluation.probe.choose import held_out_rows
from tgdp.evaluation.probe.data import ProbeData
from tgdp.evaluation.probe.features import Pooled, Tokens
from tgdp.evaluation.probe.run import run_probe
from tgdp.evaluation.probe.settings import ProbeSettings

CPU = torch.device("cpu")
NUM_CLASSES, STEPS, WIDTH = 4, 3, 6
MIDS = tuple(f"/m/{c}" for c in range(NUM_CLASSES))
VOCABULARY = LabelVocabulary(MIDS, MIDS)
CENTRES = 3.0 * np.random.default_rng(9).normal(size=(2, NUM_CLASSES, WIDTH))


def toy(name, num=48, per_clip=1, shuffled=False, dtype=np.float32):
    """Clips whose features are the sum of their labels' centres, and noise."""
    rng = np.random.default_rng(len(name))
    sets = [rng.permutation(NUM_CLASSES)[:per_clip] for _ in range(num)]
    audio, image = (
        np.stack([side[s].sum(axis=0) + rng.normal(size=(STEPS, WIDTH)) for s in sets])
        for side in CENTRES
    )
    if shuffled:
        sets = [sets[i] for i in rng.permutation(num)]
    labels = [[MIDS[c] for c in s] for s in sets]
    ids = [f"{name}.{i}" for i in range(num)]
    return ProbeData(ids, audio.astype(dtype), image.astype(dtype), labels, VOCABULARY)


def settings(**changes):
    defaults = {"kind": "linear", "task": "singlelabel", "rates": (1e-4, 3e-2), "seeds": (0, 1)}
    short = {"epochs": 1, "min_steps": 40, "batch": 16, "resamples": 50, "map_resamples": 20}
    return ProbeSettings(**{**defaults, **short, **changes})


@pytest.mark.parametrize(("kind", "rate"), [("linear", 3e-2), ("attention", 1e-2)])
def test_a_probe_learns_what_can_be_learnt_and_nothing_from_shuffled_labels(kind, rate):
    told = settings(kind=kind, rates=(rate,), seeds=(0,), min_steps=60)
    good = run_probe(toy("train"), toy("tests!"), told, CPU)
    bad = run_probe(toy("train", shuffled=True), toy("tests!", shuffled=True), told, CPU)
    assert good.metrics["top1"] > 0.9
    chance = 1 / NUM_CLASSES
    assert bad.metrics["top1"] < chance + 3 * (chance * (1 - chance) / bad.n) ** 0.5
    assert good.intervals["top1"][0] <= good.metrics["top1"] <= good.intervals["top1"][1]
    assert good.protocol == f"probe-{kind}/v1"


def test_several_labels_a_clip_are_learnt_with_average_precision():
    told = settings(task="multilabel")
    train, test = (toy(name, per_clip=2) for name in ("train", "tests!"))
    good = run_probe(train, test, told, CPU)
    assert good.metrics["map"] > 0.9
    assert good.metrics["map"] == good.metrics["map_present"]
    assert set(good.metrics) == {"map", "map_present", "mauc", "d_prime"}
    assert set(good.intervals) == {"map", "map_present"}
    assert set(run_probe(train, test, replace(told, map_resamples=0), CPU).intervals) == set()


def test_classes_that_no_test_clip_has_are_counted():
    train, test = (toy(name, per_clip=2) for name in ("train", "tests!"))
    test = replace(test, labels=[[mid for mid in one if mid != MIDS[0]] for one in test.labels])
    found = run_probe(train, test, settings(task="multilabel", seeds=(0,)), CPU)
    assert (found.classes, found.classes_present, found.classes_ranked) == (4, 3, 3)
    assert found.metrics["map"] == pytest.approx(found.metrics["map_present"] * 3 / 4)
    assert found.sd["map"] is None


@pytest.mark.parametrize("kind", ["attention", "linear"])
def test_features_are_only_read(kind, tmp_path):
    train, test = toy("train", dtype=np.float16), toy("tests!", dtype=np.float16)
    mapped = []
    for data in (train, test):
        arrays = {}
        for name in ("audio", "image"):
            path = tmp_path / f"{data.ids[0]}.{name}.npy"
            np.save(path, getattr(data, name))
            arrays[name] = np.load(path, mmap_mode="r")
        mapped.append(replace(data, **arrays))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    told = settings(kind=kind, seeds=(0,), min_steps=5)
    found = run_probe(*mapped, told, CPU)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert found == run_probe(train, test, told, CPU)


def test_a_batch_reads_no_more_than_its_clips():
    class Counting(np.ndarray):
        largest = 0

        def __getitem__(self, key):
            part = super().__getitem__(key)
            Counting.largest = max(Counting.largest, len(np.atleast_1d(part)))
            return part

    data = toy("train")
    counted = replace(data, audio=data.audio.view(Counting), image=data.image.view(Counting))
    tokens = Tokens(counted, "av")
    rows = np.array([5, 0, 31])
    expected = np.concatenate([data.audio[rows], data.image[rows]], axis=2)
    assert np.array_equal(tokens.read(rows), expected)
    assert Counting.largest == 3
    np.testing.assert_allclose(Pooled(tokens).read(rows), expected.mean(axis=1), rtol=1e-6)


def test_the_rate_is_chosen_without_a_look_at_the_test_clips():
    train, test = toy("train"), toy("tests!")
    honest = run_probe(train, test, settings(), CPU)
    poisoned = replace(
        toy("tests!", shuffled=True), audio=-test.audio, image=np.zeros_like(test.image)
    )
    fooled = run_probe(train, poisoned, settings(), CPU)
    assert (honest.rate, honest.rate_scores) == (fooled.rate, fooled.rate_scores)
    assert honest.metrics != fooled.metrics
    # The small rate has not learnt in 40 steps; the choice tells them apart, on training clips.
    assert honest.rate == 3e-2
    assert honest.rate_scores[3e-2] == 1.0
    assert honest.num_held_out == 7  # 15 % of 48
    assert honest.is_rate_at_edge


def test_the_rate_is_chosen_on_clips_the_probe_has_not_seen(monkeypatch):
    seen = []
    real = running.fit
    spy = lambda examples, rows, *rest: seen.append(rows) or real(examples, rows, *rest)  # noqa: E731
    monkeypatch.setattr("tgdp.evaluation.probe.choose.fit", spy)
    monkeypatch.setattr(running, "fit", spy)
    train = toy("train")
    run_probe(train, toy("tests!"), settings(min_steps=2), CPU)
    held = held_out_rows(train.ids, 0.15)
    for rows in seen[:2]:
        assert rows.tolist() == np.flatnonzero(~held).tolist()
    for rows in seen[2:]:  # the chosen rate, on all of them, a seed each
        assert rows.tolist() == list(range(48))
    assert len(seen) == 4


def test_ids_decide_which_clips_are_held_out():
    ids = [f"clip {i}" for i in range(100)]
    held = {clip for clip, is_held in zip(ids, held_out_rows(ids, 0.15), strict=True) if is_held}
    turned = held_out_rows(ids[::-1], 0.15)[::-1]
    assert len(held) == 15
    assert {clip for clip, is_held in zip(ids, turned, strict=True) if is_held} == held
    assert held_out_rows(ids[:8], 0.001).sum() == 1
    assert held_out_rows(ids[:8], 0.999).sum() == 7


@pytest.mark.parametrize(("modality", "width"), [("av", 2 * WIDTH), ("a", WIDTH), ("v", WIDTH)])
def test_modalities_read_their_own_features(modality, width):
    train, test = toy("train"), toy("tests!")
    unread = {"av": {}, "a": {"image": None}, "v": {"audio": None}}[modality]
    told = settings(modality=modality, kind="attention", rates=(1e-2,), seeds=(0,), min_steps=2)
    found = run_probe(replace(train, **unread), replace(test, **unread), told, CPU)
    assert (found.width, found.num_heads) == (width, width)
    other = {"audio": None} if modality == "a" else {"image": None}
    if modality != "v":
        with pytest.raises(UserError, match="there are no"):
            run_probe(replace(train, **other), test, told, CPU)


def test_results_repeat_and_say_what_they_were_counted_over():
    train, test = toy("train"), replace(toy("tests!"), missing=["gone"])
    progress = []
    found = run_probe(
        train, test, settings(min_steps=5), CPU, lambda done, total: progress.append((done, total))
    )
    assert found == run_probe(train, test, settings(min_steps=5), CPU)
    assert progress == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert (found.n, found.num_train, found.classes, found.steps) == (48, 48, 4, 5)
    assert found.missing == {"train": [], "test": ["gone"]}
    assert all(len(values) == 2 for values in found.values.values())
    assert found.metrics["top1"] == pytest.approx(np.mean(found.values["top1"]))
    assert found.sd["top1"] == pytest.approx(np.std(found.values["top1"], ddof=1))
    assert json.loads(json.dumps(asdict(found)))["settings"]["rates"] == [1e-4, 3e-2]


def test_a_rate_at_which_training_diverges_is_not_chosen_and_is_said():
    told = settings(kind="attention", rates=(1e-3, 1e30), seeds=(0,), min_steps=5)
    found = run_probe(toy("train"), toy("tests!"), told, CPU)
    assert found.rate == 1e-3
    assert found.rate_scores[1e30] is None
    with pytest.raises(UserError, match="diverged at every rate"):
        run_probe(toy("train"), toy("tests!"), replace(told, rates=(1e30,)), CPU)


def bad_feature(data):
    audio = data.audio.copy()
    audio[5, 0, 0] = np.inf
    return replace(data, audio=audio)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (toy("train", 7), toy("tests!"), "fewer than 8"),
        (bad_feature(toy("train")), toy("tests!"), r"clip train\.5 are not finite"),
        (toy("train"), bad_feature(toy("tests!")), r"clip tests!\.5 are not finite"),
        (toy("train"), toy("train"), "both for training and for testing"),
        (toy("train", per_clip=2), toy("tests!"), "exactly one label"),
        (toy("train"), ProbeData([], None, None, [], VOCABULARY), "no test"),
        (toy("train"), replace(toy("tests!"), image=np.zeros((48, 2, WIDTH))), "2 of image"),
        (
            toy("train"),
            replace(toy("tests!"), image=np.zeros((48, STEPS, 2))),
            r"\(3, 6\).*\(3, 2\)",
        ),
        (toy("train"), replace(toy("tests!"), labels=[["/m/9"]] * 48), "label '/m/9'"),
        (
            toy("train"),
            replace(toy("tests!"), vocabulary=LabelVocabulary(MIDS[::-1], MIDS)),
            "label lists",
        ),
    ],
)
def test_clips_that_cannot_be_probed_are_refused(train, test, message):
    with pytest.raises(UserError, match=message):
        run_probe(train, test, settings(min_steps=1), CPU)


def test_data_whose_parts_do_not_fit_is_refused():
    data = toy("train")
    with pytest.raises(UserError, match="audio: features of shape"):
        replace(data, audio=data.audio[:-1])
    with pytest.raises(UserError, match="47 lists for 48 clips"):
        replace(data, labels=data.labels[1:])
    with pytest.raises(UserError, match="there twice"):
        replace(data, ids=["same"] * 48)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rates", ()),
        ("rates", (0.0,)),
        ("seeds", ()),
        ("seeds", (1, 1)),
        ("epochs", 0),
        ("min_steps", -1),
        ("batch", 0),
        ("held_out", 1.0),
        ("resamples", -1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"probe {name}"):
        settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "choices"),
    [("kind", "lineal", "linear"), ("task", "ranking", "singlelabel"), ("modality", "va", "av")],
)
def test_settings_that_are_unknown_are_refused_with_the_choices(name, value, choices, monkeypatch):
    # As outside of tests, where no one compares values with annotations.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(UserError, match=f"unknown probe {name} '{value}'.*Valid: .*{choices}"):
        settings(**{name: value})
