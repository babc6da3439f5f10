"""Every contradiction is refused with the reason; every range refuses what lies outside of it."""

from typing import Any, get_args

import annotated_types
import pytest

from tgdp import presets
from tgdp.config import Config, ContrastiveMask, flatten, keys, num_kept, override
from tgdp.errors import UserError
from tgdp.model.selection import RULES

MASK = "contrastive.mask"
GUIDED = {f"{MASK}.selection": "guided", "teacher.enabled": True}
DISTILLED = {"distillation.weight": 1.0, "teacher.enabled": True}
SINGLE = {"passes": "single", f"{MASK}.ratio": 0.75}
EXPLAINED: list[tuple[dict[str, Any], str]] = [
    # Sizes.
    ({"data.image_size": 50}, "data.image_size must be a multiple of model.image_patch"),
    ({"data.segment_steps": 100}, "data.segment_steps must be a multiple of model.audio_patch"),
    (
        {"data.audio": "clip", "data.clip_steps": 100},
        "data.clip_steps must be a multiple of model.audio_patch",
    ),
    (
        {"model.audio_patch": 48, "data.segment_steps": 96},
        "model.audio_patch must divide the 128 mel bins",
    ),
    ({"model.num_heads": 5}, "model.width must be a multiple of model.num_heads"),
    ({"model.width": 18, "model.num_heads": 2}, "model.width must be a multiple of 4"),
    (
        {"model.decoder.num_heads": 5},
        "model.decoder.width must be a multiple of model.decoder.num_heads",
    ),
    ({"model.decoder.width": 18}, "model.decoder.width must be a multiple of 4"),
    ({"model.mlp_ratio": 0.02}, "model.mlp_ratio leaves a hidden layer without units; raise it"),
    ({"model.keep_registers": True}, "model.num_registers is 0"),
    # Start.
    ({"init.source": "file"}, "init.source 'file' needs init.file"),
    ({"init.file": "weights.pt"}, "init.file is not read with init.source 'scratch'"),
    ({"init.sha256": "0" * 64}, "init.file is not read with init.source 'scratch'"),
    # Masks.
    ({f"{MASK}.ratio": 0.99}, "contrastive.mask: ratio 0.99 leaves none of 48 audio patches"),
    (
        {f"{MASK}.audio_ratio": 0.99},
        "contrastive.mask: ratio 0.99 leaves none of 48 audio patches",
    ),
    (
        {"reconstruction.mask.image_ratio": 0.99},
        "reconstruction.mask: ratio 0.99 leaves none of 36 image patches",
    ),
    (
        {f"{MASK}.schedule": "uniform", f"{MASK}.from_ratio": 0.99},
        "contrastive.mask: ratio 0.99 leaves none of 48 audio patches",
    ),
    (
        {"reconstruction.mask.ratio": 0.0},
        "reconstruction.mask: at ratio 0.0 none of 48 audio patches is hidden",
    ),
    (
        {"reconstruction.mask.image_ratio": 0.0},
        "reconstruction.mask: at ratio 0.0 none of 36 image patches is hidden",
    ),
    (
        {"reconstruction.mask.schedule": "linear", "reconstruction.mask.from_ratio": 0.0},
        "nothing to reconstruct",
    ),
    ({f"{MASK}.schedule": "cosine"}, "schedule 'cosine' needs contrastive.mask.from_ratio"),
    (
        {f"{MASK}.from_ratio": 0.2},
        "contrastive.mask.from_ratio changes nothing with contrastive.mask.schedule 'constant'",
    ),
    # Guidance.
    ({f"{MASK}.selection": "guided"}, "selection 'guided' needs teacher.enabled; choose 'random'"),
    ({f"{MASK}.selection": "sampled"}, "selection 'sampled' needs teacher.enabled"),
    ({**GUIDED, "model.pooling": "mean"}, "ranks by attention with the CLS; model.pooling 'mean'"),
    (
        {**GUIDED, f"{MASK}.audio_structure": "time"},
        "audio_structure 'time' is drawn at random; it needs contrastive.mask.selection 'random'",
    ),
    ({f"{MASK}.guided_share": 0.5}, "guided_share, warmup_steps and warmup_epochs change nothing"),
    ({f"{MASK}.warmup_steps": 5}, "change nothing with selection 'random'; choose guided"),
    ({f"{MASK}.warmup_epochs": 1}, "change nothing with selection 'random'; choose guided"),
    (
        {**GUIDED, f"{MASK}.warmup_steps": 5, f"{MASK}.warmup_epochs": 1},
        "either contrastive.mask.warmup_steps or contrastive.mask.warmup_epochs",
    ),
    # Teacher.
    ({"distillation.weight": 1.0}, "distillation.weight above 0 needs teacher.enabled"),
    ({"teacher.enabled": True}, "teacher.enabled, but nothing uses the teacher"),
    ({**GUIDED, "contrastive.weight": 0.0}, "teacher.enabled, but nothing uses the teacher"),
    # Single pass.
    ({**GUIDED, **SINGLE}, "selection 'guided' needs passes 'dual'"),
    (
        {"passes": "single"},
        "contrastive.mask.ratio is 0.5 and reconstruction.mask.ratio is 0.75; set them equal",
    ),
    (
        {**SINGLE, f"{MASK}.audio_structure": "time"},
        "contrastive.mask.audio_structure is time and reconstruction.mask.audio_structure is none",
    ),
    # Losses.
    (
        {"reconstruction.weight": 0.0, "contrastive.weight": 0.0},
        "nothing is trained: reconstruction.weight, contrastive.weight and distillation.weight",
    ),
    (
        {
            "reconstruction.audio_weight": 0.0,
            "reconstruction.image_weight": 0.0,
            "contrastive.weight": 0.0,
        },
        "nothing is trained",
    ),
    (
        {"reconstruction.pixel_norm": True, "model.audio_patch": 1},
        "reconstruction.pixel_norm needs more than one value a patch; model.audio_patch is 1",
    ),
    (
        {**DISTILLED, "distillation.form": "cosine", "distillation.normalize": False},
        "distillation.form 'cosine' is of normalised vectors; distillation.normalize must be true",
    ),
    (
        {"contrastive.weight": 0.0, "contrastive.learned_temperature": True},
        "contrastive.learned_temperature learns nothing with contrastive.weight 0",
    ),
]


@pytest.mark.parametrize(("changes", "words"), EXPLAINED)
def test_a_contradiction_is_refused_with_the_reason(changes, words):
    with pytest.raises(UserError) as refusal:
        override(presets.tiny(), changes)
    assert words in str(refusal.value)


def test_what_is_not_trained_may_hide_nothing_or_all_but_one():
    off = {"reconstruction.weight": 0.0, "reconstruction.mask.ratio": 0.0}
    assert not override(presets.tiny(), off).reconstructs
    assert num_kept(36, 0.97) == 1
    override(presets.tiny(), {f"{MASK}.image_ratio": 0.97})


def test_every_selection_but_random_has_a_rule():
    values = set(get_args(ContrastiveMask.model_fields["selection"].annotation))
    assert values - {"random"} == set(RULES)


def _bounds(key: str) -> list[tuple[str, str, float]]:
    """Return the limits that a field declares, each with its kind."""
    section: Any = Config
    *parents, leaf = key.split(".")
    for parent in parents:
        section = section.model_fields[parent].annotation
    return [
        (key, kind, getattr(limit, kind))
        for limit in section.model_fields[leaf].metadata
        for kind in ("ge", "gt", "le", "lt")
        if isinstance(limit, getattr(annotated_types, kind.capitalize()))
    ]


BOUNDS = [bound for key in keys(presets.tiny()) for bound in _bounds(key)]
WORDS = {
    "ge": "greater than or equal to",
    "gt": "greater than",
    "le": "less than or equal to",
    "lt": "less than",
}


@pytest.mark.parametrize(("key", "kind", "limit"), BOUNDS)
def test_a_number_outside_its_range_is_refused(key, kind, limit):
    outside = {"ge": limit - 1, "le": limit + 1, "gt": limit, "lt": limit}[kind]
    with pytest.raises(UserError) as refusal:
        override(presets.tiny(), {key: outside})
    assert f"{key}: Input should be {WORDS[kind]}" in str(refusal.value)


def test_every_number_has_a_range():
    bounded = {key for key, _, _ in BOUNDS}
    numbers = {
        key
        for key, value in flatten(presets.paper()).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    # The mean of a log-mel may be any number.
    assert numbers - bounded == {"data.audio_mean"}


@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf")])
@pytest.mark.parametrize(
    "key", ["contrastive.weight", "data.audio_mean", "model.mlp_ratio", "training.learning_rate"]
)
def test_what_is_no_finite_number_is_refused(key, value):
    with pytest.raises(UserError, match=key.replace(".", r"\.")):
        override(presets.tiny(), {key: value})
