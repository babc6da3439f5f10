"""What torch counts in each pass is what the formula says, to the last operation."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from tgdp import presets
from tgdp.config import Config, override
from tgdp.model import masking, operations
from tgdp.model.dual_path import Inputs, Outputs, Student, forward
from tgdp.model.encoder import Encoder
from tgdp.model.operations import Patches
from tgdp.model.passes import Selections, branch_tokens, contrast, reconstruct
from tgdp.model.schedules import Moment
from tgdp.model.teacher import build_teacher, teacher_pass

BATCH = 2
FUSED = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FUSED_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward

# No two sizes agree, so that no term of the formula can stand for another.
SIZES = {
    "data.image_size": 24,
    "data.segment_steps": 48,
    "model.width": 16,
    "model.mlp_ratio": 2.5,
    "model.audio_patch": 16,
    "model.num_registers": 3,
    "model.decoder.width": 8,
    "model.decoder.num_layers": 2,
    "contrastive.mask.ratio": 0.5,
    "contrastive.mask.audio_ratio": 0.3,
    "reconstruction.mask.ratio": 0.75,
    "reconstruction.mask.image_ratio": 0.6,
}
KEEP = {"model.keep_registers": True}
DEEP = {"model.joint_layers": 2}
HEADS = {"model.contrastive_head_layers": 2}
MEAN = {"model.pooling": "mean"}
SINGLE = {
    "passes": "single",
    "contrastive.mask.ratio": 0.75,
    "contrastive.mask.audio_ratio": None,
    "contrastive.mask.image_ratio": 0.6,
}
DISTILL = {"teacher.enabled": True, "distillation.weight": 1.0}
GUIDE = {"teacher.enabled": True, "contrastive.mask.selection": "guided"}
ROW = {**GUIDE, "contrastive.mask.attention": "cls_to_patch"}
COLUMN = {**GUIDE, "contrastive.mask.attention": "patch_to_cls"}
NO_RECONSTRUCTION = {"reconstruction.weight": 0.0}
NO_CONTRAST = {"contrastive.weight": 0.0}
LINES = {"contrastive.mask.audio_structure": "both"}

SHAPES: list[dict[str, Any]] = [
    *(keep | deep | heads for keep in ({}, KEEP) for deep in ({}, DEEP) for heads in ({}, HEADS)),
    {"model.num_registers": 0},
    {"model.modality_layers": 0},
    {"model.modality_layers": 1} | KEEP,
]
"""With a CLS, so that the teacher can rank."""

STEPS: list[dict[str, Any]] = [
    {},
    KEEP | DEEP | HEADS,
    MEAN,
    MEAN | KEEP | DEEP | HEADS,
    SINGLE,
    SINGLE | MEAN | KEEP,
    ROW | DISTILL,
    COLUMN | DISTILL | KEEP | HEADS,
    NO_RECONSTRUCTION,
    NO_CONTRAST,
]
FORWARDS: list[dict[str, Any]] = [
    DISTILL,
    ROW,
    COLUMN,
    ROW | DISTILL | KEEP | DEEP | HEADS,
    MEAN | DISTILL,
    MEAN | DISTILL | KEEP | HEADS,
    SINGLE | DISTILL,
    GUIDE | {"contrastive.mask.selection": "sampled"},
    GUIDE | {"contrastive.mask.selection": "guided_shuffled"},
    GUIDE | {"contrastive.mask.guided_share": 0.5},
    GUIDE | {"contrastive.mask.warmup_steps": 5},
    GUIDE | {"contrastive.mask.warmup_steps": 6},
    GUIDE | DISTILL | {"contrastive.mask.warmup_steps": 6},
    NO_RECONSTRUCTION | SINGLE,
    NO_RECONSTRUCTION | ROW | DISTILL,
    {"reconstruction.audio_weight": 0.0, "reconstruction.image_weight": 0.0},
    NO_CONTRAST | KEEP,
    NO_CONTRAST | SINGLE,
    NO_CONTRAST | DISTILL,
    NO_CONTRAST | ROW | DISTILL,
    LINES,
    SINGLE | LINES | {"reconstruction.mask.audio_structure": "both"},
]


def named(changes: dict[str, Any]) -> str:
    return ",".join(f"{key.split('.')[-1]}={value}" for key, value in changes.items()) or "plain"


def build(changes: dict[str, Any]) -> tuple[Config, Student, Encoder | None, Inputs]:
    torch.manual_seed(0)
    config = override(presets.tiny(), SIZES | changes)
    student = Student(config)
    teacher = build_teacher(student.encoder) if config.teacher.enabled else None
    audio, image = torch.randn(BATCH, 48, 128), torch.randn(BATCH, 3, 24, 24)
    return config, student, teacher, Inputs(audio, image, Moment(5, 10, 0))


def noise(_purpose: str, num: int) -> Tensor:
    return torch.rand(BATCH, num)


def forward_rule(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def backward_rule(_grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Twice the forward side: torch's own rule adds the scores that the kernel makes again."""
    return 2 * sdpa_flop_count(query, key, value)


def count(function: Callable[..., object], *args: object, **options: object) -> int:
    """Return torch's count for a pair; the fused attention of the CPU is not in its list."""
    mapping = {FUSED: forward_rule, FUSED_BACKWARD: backward_rule}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        function(*args, **options)
    total, left = divmod(counter.get_total_flops(), BATCH)
    assert left == 0
    return total


def selections(config: Config, seen: Patches) -> Selections:
    every = operations.full_view(config)
    return Selections(
        *(
            masking.random(torch.rand(BATCH, num), 1 - (kept + 0.5) / num)
            for num, kept in zip(every, seen, strict=True)
        )
    )


def backward(outputs: Outputs) -> None:
    parts = [*(outputs.predicted or ()), *(outputs.vectors or ())]
    torch.stack([part.square().sum() for part in parts]).sum().backward()


@pytest.mark.parametrize("changes", [*SHAPES, MEAN, MEAN | KEEP | DEEP | HEADS], ids=named)
def test_each_pass_of_the_student(changes):
    config, student, _, inputs = build(changes)
    encoder, model, seen = student.encoder, config.model, Patches(17, 4)
    assert count(encoder.embed, inputs.audio, inputs.image) == operations.embed(config)
    patches, shown = encoder.embed(inputs.audio, inputs.image), selections(config, seen)
    branches = branch_tokens(encoder, patches, shown)
    for with_cls in (True, False):
        counted = count(branch_tokens, encoder, patches, shown, with_cls=with_cls)
        assert counted == operations.branches(model, seen, with_cls=with_cls)
    counted = count(reconstruct, encoder, student.decoder, branches, shown)
    assert counted == operations.reconstruct(config, seen)
    assert count(contrast, encoder, branches) == operations.contrast(model, seen)


@pytest.mark.parametrize("changes", SHAPES, ids=named)
def test_each_view_of_the_teacher(changes):
    config, student, _, (audio, image, _) = build(changes)
    teacher = build_teacher(student.encoder)
    for direction in (None, "cls_to_patch", "patch_to_cls"):
        for wanted in (True, False):
            counted = count(teacher_pass, teacher, audio, image, direction, with_vectors=wanted)
            assert counted == operations.look(config, direction, with_vectors=wanted)


@pytest.mark.parametrize("changes", STEPS, ids=named)
def test_a_whole_step_forwards_and_backwards(changes):
    config, student, teacher, inputs = build(changes)
    outputs: list[Outputs] = []

    def keep(*parts: Any) -> None:
        outputs.append(forward(*parts))

    counted = count(keep, config, student, teacher, inputs, noise)
    expected = operations.operations(config)
    assert counted == expected.forward
    assert counted + count(backward, outputs[0]) == expected.step


@pytest.mark.parametrize("changes", FORWARDS, ids=named)
def test_the_forward_side_whatever_the_switches(changes):
    config, student, teacher, inputs = build(changes)
    guides = config.contrastive.mask.warmup_steps <= inputs.moment.step
    counted = count(forward, config, student, teacher, inputs, noise)
    assert counted == operations.operations(config, guides=guides).forward


def test_a_curriculum_is_counted_at_the_patches_of_the_moment():
    mask = {"contrastive.mask.schedule": "linear", "contrastive.mask.from_ratio": 0.0}
    config, student, teacher, inputs = build(mask)
    first = Inputs(inputs.audio, inputs.image, Moment(0, 10, 0))
    expected = operations.operations(config, contrastive=operations.full_view(config))
    assert count(forward, config, student, teacher, first, noise) == expected.forward


def test_a_pass_that_is_off_counts_nothing():
    whole = operations.operations(build(ROW | DISTILL)[0])
    assert min(whole) > 0
    assert operations.operations(build(NO_RECONSTRUCTION)[0]).reconstruction == 0
    assert operations.operations(build(NO_CONTRAST)[0]).contrastive == 0
    assert operations.operations(build({})[0]).teacher == 0
    assert operations.operations(build(GUIDE)[0], guides=False).teacher == 0
