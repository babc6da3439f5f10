"""Rows that are known before anything is measured."""

import json

import numpy as np
import pytest
import torch

from tgdp import presets
from tgdp.config import override
from tgdp.data.synthetic.factors import draw_clip
from tgdp.data.synthetic.spec import HUES, SynthSpec
from tgdp.errors import UserError
from tgdp.evaluation.embed import ClipFeatures
from tgdp.evaluation.ranking import chance
from tgdp.evaluation.retrieval import recall_metrics, retrieve
from tgdp.evaluation.sanity import mean_embedding, oracle, untrained

SPEC = SynthSpec(clips=64, seed=3)
CLIPS = 24
NOTHING = {"r1": 0.0, "r5": 0.0, "r10": 0.0, "median_rank": float(CLIPS)}


@pytest.fixture(scope="module")
def embedded(prepared):
    """Return a folder that calls itself the embedded benchmark; what its clips show is noise."""
    folder = prepared([1.0] * 2 * CLIPS)
    card = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**card, "fingerprint": SPEC.fingerprint}))
    records = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for number, record in enumerate(records):
        split = "multi_train" if record["split"] == "test" else "train"
        record["id"] = f"{split}-{number // 2:05d}"
    (folder / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    clips = folder.with_name(f"{folder.name}-clips")
    clips.mkdir()
    (clips / "spec.json").write_text(json.dumps(SPEC.source))
    return folder


def both(metrics: dict[str, float]) -> dict[str, float]:
    return {f"{way}/{name}": value for way in ("a2v", "v2a") for name, value in metrics.items()}


@pytest.mark.parametrize("n", [3, 8, 100])
def test_chance_is_the_mean_over_all_places_of_the_answer(n):
    expected = recall_metrics(np.arange(1, n + 1))
    assert chance(n) == pytest.approx(expected)


def test_one_vector_for_all_clips_retrieves_nothing():
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, CLIPS, 4, 8)).astype(np.float32)
    parts /= np.linalg.norm(parts, axis=-1, keepdims=True)
    features = mean_embedding(ClipFeatures([str(i) for i in range(CLIPS)], parts[0], parts[1]))
    np.testing.assert_allclose(features.image[5], parts[1].mean(axis=0), rtol=1e-5, atol=1e-7)
    assert retrieve(features.audio, features.image, features.ids) == both(NOTHING)


def test_an_untrained_encoder_is_that_of_the_seed_and_leaves_chance_alone():
    config = override(presets.tiny(), {"seed": 4})
    before = torch.get_rng_state()
    first, second = untrained(config), untrained(config)
    assert torch.equal(torch.get_rng_state(), before)
    other = untrained(override(config, {"seed": 5}))
    name = "image.blocks.0.mlp.fc1.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("split", ["train", "test"])
def test_who_knows_the_causes_finds_every_clip(embedded, split):
    features = oracle(embedded, split)
    assert features.audio.shape == (CLIPS, 16, 10)
    perfect = {"r1": 1.0, "r5": 1.0, "r10": 1.0, "median_rank": 1.0}
    assert retrieve(features.audio, features.image, features.ids) == both(perfect)


def test_who_knows_the_shape_alone_finds_the_clips_of_that_shape(embedded):
    features = oracle(embedded, "train", ("shape",))
    shapes = np.array([draw_clip(SPEC, "train", i).objects[0].shape for i in range(CLIPS)])
    expected = recall_metrics((shapes[:, None] == shapes).sum(axis=1))
    found = retrieve(features.audio, features.image, features.ids)
    assert found.items() <= both(expected).items()


def test_who_knows_the_class_alone_finds_the_clips_of_that_class(embedded):
    features = oracle(embedded, "train", ("shape", "hue"), levels=len(HUES))
    labels = np.array([draw_clip(SPEC, "train", i).labels[0] for i in range(CLIPS)])
    expected = recall_metrics((labels[:, None] == labels).sum(axis=1))
    found = retrieve(features.audio, features.image, features.ids)
    assert found.items() <= both(expected).items()


def test_nearer_causes_are_more_alike(embedded):
    vectors = oracle(embedded, "train", ("hue",)).audio[:, 0]
    hues = np.array([draw_clip(SPEC, "train", i).objects[0].hue for i in range(CLIPS)])
    apart, alike = np.abs(hues[0] - hues), vectors @ vectors[0]
    assert np.argsort(apart).tolist() == np.argsort(-alike).tolist()


def test_other_data_has_no_known_causes(embedded, prepared):
    with pytest.raises(UserError, match=r"'fingerprint' is .* only its own clips"):
        oracle(prepared([1.0] * 4), "train")
    with pytest.raises(UserError, match=r"unknown factor 'colour'.*hue, place, shape, size"):
        oracle(embedded, "train", ("colour",))
    with pytest.raises(UserError, match="unknown split 'tset'"):
        oracle(embedded, "tset")
