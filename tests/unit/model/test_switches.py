"""Every switch changes what it should, and all the rest stays the same to the last bit."""

from typing import Any

import pytest
import torch
from switch_bench import (
    CONTRAST,
    EVERYTHING,
    HIDDEN,
    PREDICTED,
    PRIORITY,
    RANDOM,
    RECONSTRUCTION,
    TEACHER,
    VECTORS,
    VISIBLE,
    inputs,
    parts,
    with_changes,
)

from tgdp.model.schedules import Moment
from tgdp.training.learner import build_learner
from tgdp.training.step import Batch
from tgdp.training.update import take_step

CONTRAST_PATH = VISIBLE | VECTORS | CONTRAST
RECONSTRUCTION_PATH = HIDDEN | PREDICTED | RECONSTRUCTION

ONE_MODALITY = {"visible.audio", "vectors.audio"} | CONTRAST
EASED = {"schedule": "linear", "from_ratio": 0.25}

CASES: list[tuple[dict[str, Any], set[str]]] = [
    # Ratio, per path, per modality, and on its way.
    ({"reconstruction.mask.ratio": 0.5}, RECONSTRUCTION_PATH),
    ({"reconstruction.mask.audio_ratio": 0.5}, RECONSTRUCTION_PATH - {"hidden.image"}),
    ({"reconstruction.mask.image_ratio": 0.5}, RECONSTRUCTION_PATH - {"hidden.audio"}),
    ({f"reconstruction.mask.{k}": v for k, v in EASED.items()}, RECONSTRUCTION_PATH),
    ({"contrastive.mask.ratio": 0.75}, CONTRAST_PATH),
    ({"contrastive.mask.ratio": 0.0}, CONTRAST_PATH),
    ({"contrastive.mask.audio_ratio": 0.75}, ONE_MODALITY),
    ({"contrastive.mask.image_ratio": 0.75}, CONTRAST_PATH - {"visible.audio", "vectors.audio"}),
    ({f"contrastive.mask.{k}": v for k, v in EASED.items()}, CONTRAST_PATH),
    ({"contrastive.mask.schedule": "cosine", "contrastive.mask.from_ratio": 0.25}, CONTRAST_PATH),
    ({"contrastive.mask.schedule": "uniform", "contrastive.mask.from_ratio": 0.2}, CONTRAST_PATH),
    # Structure.
    *(
        ({"reconstruction.mask.audio_structure": s}, RECONSTRUCTION_PATH - {"hidden.image"})
        for s in ("time", "freq", "both")
    ),
    # Selection and guidance.
    (RANDOM, CONTRAST_PATH | PRIORITY),
    ({"contrastive.mask.selection": "sampled"}, CONTRAST_PATH),
    ({"contrastive.mask.selection": "guided_shuffled"}, CONTRAST_PATH),
    ({"contrastive.mask.guided_share": 0.5}, CONTRAST_PATH),
    ({"contrastive.mask.warmup_steps": 6}, CONTRAST_PATH | PRIORITY),
    ({"contrastive.mask.warmup_steps": 5}, set()),
    ({"contrastive.mask.warmup_epochs": 2}, CONTRAST_PATH | PRIORITY),
    ({"contrastive.mask.warmup_epochs": 1}, set()),
    # Reconstruction.
    ({"reconstruction.pixel_norm": True}, RECONSTRUCTION),
    ({"reconstruction.weight": 2.0}, {"total"}),
    ({"reconstruction.weight": 0.0}, RECONSTRUCTION_PATH),
    ({"reconstruction.audio_weight": 0.0}, {"total"}),
    ({"reconstruction.image_weight": 2.0}, {"total"}),
    # Contrast.
    ({"contrastive.weight": 0.5}, {"total"}),
    ({"contrastive.weight": 0.0}, {"contrastive", "total"}),
    ({"contrastive.temperature": 0.1}, {"contrastive", "total"}),
    ({"contrastive.directions": "one_way"}, {"contrastive", "total"}),
    ({"contrastive.negatives": "local"}, set()),  # there is one rank here
    # Distillation.
    ({"distillation.weight": 2.0}, {"total"}),
    ({"distillation.weight": 0.0}, {"distillation", "total"} | TEACHER),
    ({"distillation.form": "squared_l2_mean"}, {"distillation", "total"}),
    ({"distillation.form": "cosine"}, {"distillation", "total"}),
    ({"distillation.normalize": False}, {"distillation", "total"}),
    # Teacher: how it follows is no matter of the step itself.
    ({"teacher.momentum": 0.5, "teacher.momentum_schedule": "cosine"}, set()),
    (
        {**RANDOM, "teacher.enabled": False, "distillation.weight": 0.0},
        CONTRAST_PATH | PRIORITY | TEACHER,
    ),
    # Shape of the model. Guidance follows the teacher, so what is visible does too.
    ({"model.num_registers": 0}, EVERYTHING - HIDDEN),
    ({"model.num_registers": 8}, EVERYTHING - HIDDEN),
    ({"model.keep_registers": True}, EVERYTHING - HIDDEN),
    ({"model.joint_layers": 3}, EVERYTHING - HIDDEN),
    ({"model.pooling": "mean", **RANDOM}, EVERYTHING - HIDDEN),
    # Inputs.
    ({"data.audio": "clip", "data.clip_steps": 64}, set()),
    ({"data.timing": "upstream", "data.audio_mean": 1.0, "data.name": "elsewhere"}, set()),
    ({"seed": 1}, EVERYTHING - TEACHER - PRIORITY - VISIBLE - VECTORS - CONTRAST | {"total"}),
]


# These change which rows of a matrix are computed at once, and with it the last bit of others.
ROUNDED: list[tuple[dict[str, Any], set[str]]] = [
    ({"contrastive.mask.attention": "patch_to_cls"}, CONTRAST_PATH | PRIORITY),
    ({"model.contrastive_head_layers": 1}, VECTORS | TEACHER | CONTRAST),
]


@pytest.fixture(scope="module")
def base() -> dict[str, torch.Tensor | None]:
    return parts(with_changes())


def _label(case: Any) -> str | None:
    return " ".join(f"{k}={v}" for k, v in case.items()) if isinstance(case, dict) else ""


@pytest.mark.parametrize(("changes", "expected"), CASES, ids=_label)
def test_a_switch_changes_its_part_and_nothing_else(base, changes, expected):
    assert _differing(base, parts(with_changes(changes))) == expected


@pytest.mark.parametrize(("changes", "expected"), ROUNDED)
def test_to_rounding_a_switch_changes_its_part_and_nothing_else(base, changes, expected):
    assert _differing(base, parts(with_changes(changes)), tolerance=1e-5) == expected


@pytest.mark.parametrize("structure", ["time", "freq", "both"])
def test_a_structure_of_the_sound_leaves_the_picture_alone(structure):
    structured = with_changes(RANDOM, {"contrastive.mask.audio_structure": structure})
    assert _differing(parts(with_changes(RANDOM)), parts(structured)) == ONE_MODALITY


@pytest.mark.parametrize(
    "changes",
    [
        {"model.num_registers": 8},
        {"model.keep_registers": True},
        {"model.pooling": "mean"},
        {"model.joint_layers": 3},
    ],
    ids=_label,
)
def test_the_shape_of_the_model_does_not_touch_random_masks(changes):
    differing = _differing(parts(with_changes(RANDOM)), parts(with_changes(RANDOM, changes)))
    assert not differing & (HIDDEN | VISIBLE)


def test_a_single_pass_contrasts_what_it_reconstructs_from():
    equal_masks = {**RANDOM, "contrastive.mask.ratio": 0.75}
    dual = parts(with_changes(equal_masks))
    single = parts(with_changes(equal_masks, {"passes": "single"}))
    for modality in ("audio", "image"):
        assert torch.equal(single[f"visible.{modality}"], single[f"hidden.{modality}"])
        assert torch.equal(single[f"hidden.{modality}"], dual[f"hidden.{modality}"])
        assert not torch.equal(dual[f"visible.{modality}"], dual[f"hidden.{modality}"])
        torch.testing.assert_close(single[f"predicted.{modality}"], dual[f"predicted.{modality}"])
    assert not torch.equal(single["contrastive"], dual["contrastive"])


def test_a_single_pass_without_reconstruction_keeps_its_mask():
    single = {**RANDOM, "contrastive.mask.ratio": 0.75, "passes": "single"}
    with_it = parts(with_changes(single))
    without = parts(with_changes(single, {"reconstruction.weight": 0.0}))
    assert torch.equal(with_it["visible.audio"], without["visible.audio"])
    torch.testing.assert_close(with_it["vectors.audio"], without["vectors.audio"])
    assert without["predicted.audio"] is None


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("selection", ["guided", "sampled", "guided_shuffled"])
def test_before_guidance_sets_in_a_step_is_that_of_random_selection(selection, share):
    rule = {"contrastive.mask.selection": selection, "contrastive.mask.guided_share": share}
    random = parts(with_changes(RANDOM), Moment(4, 11, 0))
    for warmup in ({"contrastive.mask.warmup_steps": 5}, {"contrastive.mask.warmup_epochs": 1}):
        warmed = with_changes(rule, warmup)
        assert _differing(random, parts(warmed, Moment(4, 11, 0))) == set()
        assert _differing(parts(with_changes(rule)), parts(warmed, Moment(5, 11, 1))) == set()


@pytest.mark.parametrize(
    ("changes", "with_vectors", "with_priority"),
    [
        ({"distillation.weight": 0.0}, False, True),
        (RANDOM, True, False),
        ({}, True, True),
        ({"contrastive.weight": 0.0}, True, True),
        ({"contrastive.mask.warmup_steps": 9, "distillation.weight": 0.0}, False, False),
    ],
)
def test_the_teacher_computes_what_it_is_there_for(changes, with_vectors, with_priority):
    found = parts(with_changes(changes))
    assert (found["teacher.vectors.audio"] is not None) == with_vectors
    assert (found["priority.image"] is not None) == with_priority


def test_what_a_guided_step_sees_is_what_its_teacher_ranks_highest():
    found = parts(with_changes({"contrastive.mask.audio_ratio": 0.75}))
    for modality, kept in (("audio", 8), ("image", 8)):
        best = found[f"priority.{modality}"].topk(kept, dim=1).indices
        visible = ~found[f"visible.{modality}"]
        assert visible.gather(1, best).all()
        assert (visible.sum(dim=1) == kept).all()


@pytest.mark.parametrize(
    ("changes", "step", "momentum"),
    [
        ({"teacher.momentum": 0.9}, 5, 0.9),
        ({"teacher.momentum": 0.0}, 5, 0.0),
        ({"teacher.momentum": 0.9, "teacher.momentum_schedule": "cosine"}, 0, 0.9),
        ({"teacher.momentum": 0.9, "teacher.momentum_schedule": "cosine"}, 5, 0.95),
        ({"teacher.momentum": 0.9, "teacher.momentum_schedule": "cosine"}, 10, 1.0),
    ],
)
def test_after_a_step_the_teacher_has_followed_by_the_momentum_of_that_step(
    changes, step, momentum
):
    config = with_changes(changes)
    learner = build_learner(config, torch.device("cpu"))
    before = [one.clone() for one in learner.teacher.parameters()]
    pair = inputs(config)
    batch = Batch(pair.audio, pair.image, torch.arange(5), Moment(step, 11, 0))
    take_step(config, learner, batch, rate=1e-2)
    students = learner.student.encoder.parameters()
    for old, new, student in zip(before, learner.teacher.parameters(), students, strict=True):
        torch.testing.assert_close(new, momentum * old + (1 - momentum) * student)


@pytest.mark.parametrize("steps", [96, 208, 304, 416, 512, 1024])
@pytest.mark.parametrize("side", [16, 48])
def test_one_to_ten_seconds_and_any_picture_fit(steps, side):
    changes = {"data.segment_steps": steps, "data.image_size": side}
    found = parts(with_changes({"model.modality_layers": 0, "model.joint_layers": 1}, changes))
    assert found["predicted.audio"].shape == (5, 8 * steps // 16, 16 * 16)
    assert found["predicted.image"].shape == (5, (side // 8) ** 2, 3 * 8 * 8)
    assert found["total"].isfinite()


def _differing(one: dict[str, Any], other: dict[str, Any], tolerance: float = 0.0) -> set[str]:
    assert one.keys() == other.keys() == EVERYTHING
    return {name for name in one if not _same(one[name], other[name], tolerance)}


def _same(one: torch.Tensor | None, other: torch.Tensor | None, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and torch.allclose(one, other, rtol=tolerance, atol=tolerance)
