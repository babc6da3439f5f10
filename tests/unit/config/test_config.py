"""What a configuration accepts, and what names a run."""

import pytest

from tgdp import presets
from tgdp.config import (
    dump,
    flatten,
    from_dict,
    keys,
    load,
    override,
    parse_assignments,
    pretrain_signature,
    science,
    signature,
    signatures,
    to_dict,
)
from tgdp.errors import UserError

PINNED = {
    "tiny": "0a1c9cffee58",
    "small": "024bbf44d4d3",
    "paper": "467cf50b6b61",
    "cav_mae": "8183d47f83b0",
    "cav_mae_sync": "45e90f228240",
}
"""If one of these changes, every finished run of that preset is a stranger: say so in CHANGELOG."""


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_signature_of_a_preset_is_pinned(name):
    assert signature(presets.by_name(name)) == PINNED[name]


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_configuration_survives_yaml(name, tmp_path):
    config = presets.by_name(name)
    file = tmp_path / "config.yaml"
    file.write_text(dump(config))
    assert load(file) == config
    assert from_dict(to_dict(config)) == config


def test_runtime_fields_do_not_change_the_signature_and_all_others_do():
    config = presets.tiny()
    for key, value in {"runtime.threads": 7, "data.folder": "/elsewhere"}.items():
        assert signature(override(config, {key: value})) == signature(config)
    for key in ("contrastive.weight", "data.audio_mean", "training.learning_rate"):
        assert signature(override(config, {key: 0.123})) != signature(config)
    assert signature(override(config, {"seed": 5})) != signature(config)


ADDED = {
    "data.augment_image": True,
    "data.roll_audio": 0.25,
    "training.accumulation": 2,
    "training.learning_rate_batch": 256,
    "training.decay_start": 0.3,
    "training.decay_every": 0.3,
    "training.decay_factor": 0.1,
    "training.residual": "bfloat16",
}
"""Fields that came after runs had been named, each with another value than its default."""

NEEDED = {"training.residual": {"training.precision": "bfloat16"}}
"""What some of these values need of other fields."""


def test_every_field_but_runtime_is_science():
    kept = {key for key in keys(presets.tiny()) if not key.startswith("runtime.")}
    left_out = {key for key in kept if not _is_in(science(presets.tiny()), key)}
    assert left_out == {"data.folder", "init.file", *ADDED}


@pytest.mark.parametrize("key", ADDED)
def test_a_field_added_later_names_the_run_once_it_is_not_at_its_default(key):
    config = override(presets.tiny(), NEEDED.get(key, {}))
    changed = override(config, {key: ADDED[key]})
    assert signature(changed) != signature(config)
    assert _is_in(science(changed), key)
    assert signature(override(changed, {key: flatten(config)[key]})) == signature(config)


def test_evaluation_names_the_run_but_not_the_checkpoint():
    config = presets.tiny()
    other = override(config, {"evaluation.split": "elsewhere"})
    assert signature(other) != signature(config)
    assert pretrain_signature(other) == pretrain_signature(config)


def test_a_misspelt_key_is_answered_with_the_right_one():
    with pytest.raises(UserError, match=r"Did you mean 'contrastive\.mask\.ratio'"):
        override(presets.tiny(), {"contrastive.mask.rato": 0.5})


@pytest.mark.parametrize("key", ["contrastive", "contrastive.mask", "nosuch.key", "seed.x", ""])
def test_a_key_that_is_no_field_is_refused(key):
    with pytest.raises(UserError, match="unknown key"):
        override(presets.tiny(), {key: 1})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contrastive.mask.ratio": 1.0}, r"contrastive\.mask\.ratio.*less than 1"),
        ({"contrastive.mask.ratio": -0.1}, r"contrastive\.mask\.ratio.*greater than or equal to 0"),
        ({"contrastive.mask.ratio": "half"}, r"contrastive\.mask\.ratio.*valid number"),
        ({"training.steps": 1.5}, r"training\.steps.*integer"),
        ({"training.batch_size": True}, r"training\.batch_size.*integer"),
        ({"training.epochs": 3}, r"either training\.steps or training\.epochs"),
        ({"contrastive.mask.selection": "clever"}, "'random', 'guided', 'sampled' or"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_the_reason(changes, words):
    with pytest.raises(UserError, match=words):
        override(presets.tiny(), changes)


def test_assignments_are_typed():
    words = ["a=1", "b=0.5", "c=true", "d=null", "e=1e-4", "f=random", "g=x=y"]
    assert parse_assignments(words) == {
        "a": 1,
        "b": 0.5,
        "c": True,
        "d": None,
        "e": 1e-4,
        "f": "random",
        "g": "x=y",
    }
    with pytest.raises(UserError, match="expected key=value"):
        parse_assignments(["training.steps"])


def test_flatten_names_every_field():
    assert set(flatten(presets.paper())) == set(keys(presets.paper()))


def _is_in(nested, key: str) -> bool:
    for part in key.split("."):
        if part not in nested:
            return False
        nested = nested[part]
    return True


def test_names_of_several_seeds_are_those_of_each() -> None:
    config = override(presets.tiny(), {"contrastive.mask.ratio": 0.3})
    seeds = (0, 3, 2**31)
    assert signatures(config, seeds) == [signature(override(config, {"seed": s})) for s in seeds]
