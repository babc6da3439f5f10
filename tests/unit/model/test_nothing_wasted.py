"""What a step must not do: tokens nobody reads, square matrices, gradients in the teacher."""

import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tgdp import presets
from tgdp.config import Config, override
from tgdp.model import dual_path, tokens
from tgdp.model.dual_path import Inputs, Outputs, Student, forward
from tgdp.model.encoder import Encoder
from tgdp.model.schedules import Moment
from tgdp.model.teacher import build_teacher, teacher_pass
from tgdp.training.step import Batch, compute_losses

BATCH = 2
FUSED = "_scaled_dot_product_flash_attention_for_cpu"

# Every width is below the number of tokens of any pass, so that only a square matrix has both of
# its last sides that long.
SIZES = {
    "data.image_size": 16,
    "data.segment_steps": 16,
    "model.width": 8,
    "model.num_heads": 2,
    "model.image_patch": 2,
    "model.audio_patch": 4,
    "model.num_registers": 3,
    "model.decoder.width": 8,
    "contrastive.mask.ratio": 0.5,
    "reconstruction.mask.ratio": 0.5,
}
UNPATCHIFY = tokens.unpatchify

FEWEST_TOKENS = 32
"""Pictures have 64 patches, of which half are visible."""

GUIDE = {"teacher.enabled": True, "contrastive.mask.selection": "guided"}
DISTILL = {"teacher.enabled": True, "distillation.weight": 1.0}
SHAPES: list[dict[str, Any]] = [
    {},
    {"model.joint_layers": 2},
    {"model.keep_registers": True},
    {"model.keep_registers": True, "model.contrastive_head_layers": 2, "model.joint_layers": 2},
    {"model.pooling": "mean"},
    {"model.pooling": "mean", "model.keep_registers": True, "model.contrastive_head_layers": 1},
]
SWITCHES: list[dict[str, Any]] = [
    {},
    {"passes": "single"},
    {"passes": "single", "contrastive.weight": 0.0},
    {"reconstruction.weight": 0.0},
    {"contrastive.weight": 0.0},
]


def build(changes: dict[str, Any]) -> tuple[Config, Student, Encoder | None, Inputs]:
    torch.manual_seed(0)
    config = override(presets.tiny(), SIZES | changes)
    student = Student(config)
    teacher = build_teacher(student.encoder) if config.teacher.enabled else None
    audio, image = torch.randn(BATCH, 16, 128), torch.randn(BATCH, 3, 16, 16)
    return config, student, teacher, Inputs(audio, image, Moment(5, 10, 0))


def run(changes: dict[str, Any]) -> Outputs:
    return forward(*build(changes), noise)


def noise(_purpose: str, num: int) -> Tensor:
    return torch.rand(BATCH, num)


def step(config: Config, student: Student, teacher: Encoder | None, inputs: Inputs) -> None:
    batch = Batch(inputs.audio, inputs.image, torch.arange(BATCH), inputs.moment)
    compute_losses(config, student, teacher, batch).total.backward()


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("this was not to be computed")


class Rows(TorchFunctionMode):
    """Collects the gradient of what linear layers and attention return."""

    def __init__(self) -> None:
        super().__init__()
        self.num_made = 0
        self.gradients: list[Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func in (F.linear, F.scaled_dot_product_attention):
            self.num_made += 1
            out.register_hook(self.gradients.append)
        return out


class Seen(TorchDispatchMode):
    """Collects the names of the operations and the shapes of what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.squares: list[tuple[str, tuple[int, ...]]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.names.add(name)
        shapes = [tuple(leaf.shape) for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        self.squares += [(name, s) for s in shapes if len(s) > 1 and min(s[-2:]) >= FEWEST_TOKENS]
        return out


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_token_that_a_layer_computes_is_read_by_someone(shape, switch):
    config, student, _, inputs = build(shape | switch)
    with Rows() as rows:
        outputs = forward(config, student, None, inputs, noise)
    parts = [*(outputs.predicted or ()), *(outputs.vectors or ())]
    torch.stack([(part * torch.randn_like(part)).sum() for part in parts]).sum().backward()
    assert len(rows.gradients) == rows.num_made, "the output of a layer was not used at all"
    unread = [g.shape for g in rows.gradients if (g == 0).all(dim=-1).any()]
    assert not unread, "rows without influence on any result"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_no_pass_of_the_student_makes_a_square_matrix(shape):
    with Seen() as seen:
        run(shape)
    assert FUSED in seen.names
    assert "_softmax" not in seen.names
    assert not seen.squares


@pytest.mark.parametrize("direction", [None, "cls_to_patch", "patch_to_cls"])
@pytest.mark.parametrize("with_vectors", [True, False])
@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_no_view_of_the_teacher_makes_a_square_matrix(shape, with_vectors, direction):
    _, student, _, (audio, image, _) = build(shape)
    with Seen() as seen:
        teacher_pass(student.encoder, audio, image, direction, with_vectors=with_vectors)
    assert (FUSED in seen.names) == (with_vectors or direction is not None)
    assert ("_softmax" in seen.names) == (direction == "cls_to_patch"), "only of the one row"
    assert not seen.squares


def test_a_square_matrix_would_be_seen(monkeypatch):
    def plain(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return (query @ key.transpose(-2, -1)).softmax(dim=-1) @ value

    monkeypatch.setattr(F, "scaled_dot_product_attention", plain)
    with Seen() as seen:
        run({})
    assert seen.squares


@pytest.mark.parametrize("attention", ["cls_to_patch", "patch_to_cls"])
def test_the_teacher_tracks_no_gradient(attention):
    changes = GUIDE | DISTILL | {"contrastive.mask.attention": attention}
    config, student, teacher, inputs = build(changes)
    assert teacher is not None
    tracked: list[bool] = []
    for module in teacher.modules():
        module.register_forward_pre_hook(lambda *_: tracked.append(torch.is_grad_enabled()))
    view = forward(config, student, teacher, inputs, noise).teacher
    assert view.vectors is not None
    assert view.priority is not None
    assert all(one.grad_fn is None for one in (*view.vectors, *view.priority))
    step(config, student, teacher, inputs)
    assert tracked
    assert not any(tracked)
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert student.encoder.audio.patch_embed.proj.weight.grad is not None


def test_a_step_rebuilds_no_picture(monkeypatch):
    # Wherever the function was imported to.
    for module in list(sys.modules.values()):
        if getattr(module, "unpatchify", None) is UNPATCHIFY:
            monkeypatch.setattr(module, "unpatchify", refuse)
    with pytest.raises(AssertionError, match="not to be computed"):
        tokens.unpatchify(torch.zeros(1, 4, 4), tokens.Grid(2, 2), 2)
    step(*build(GUIDE | DISTILL))


def test_without_reconstruction_the_decoder_is_not_called(monkeypatch):
    monkeypatch.setattr("tgdp.model.decoder.Decoder.forward", refuse)
    monkeypatch.setattr("tgdp.model.encoder.Encoder.joint_patches", refuse)
    assert run({"reconstruction.weight": 0.0}).predicted is None


def test_without_contrast_and_distillation_no_vector_is_made(monkeypatch):
    monkeypatch.setattr(Encoder, "vector", refuse)
    monkeypatch.setattr(Encoder, "priority", refuse)
    assert run({"contrastive.weight": 0.0}).vectors is None


def test_the_teacher_rests_while_it_neither_guides_nor_distils(monkeypatch):
    monkeypatch.setattr(dual_path, "teacher_pass", refuse)
    warmup = GUIDE | {"contrastive.mask.warmup_steps": 6}
    assert run(warmup).teacher == dual_path.UNSEEN
    with pytest.raises(AssertionError, match="not to be computed"):
        run(GUIDE | {"contrastive.mask.warmup_steps": 5})


def test_masks_draw_no_number_that_they_do_not_read():
    drawn: dict[str, int] = {}

    def counted(purpose: str, num: int) -> Tensor:
        drawn[purpose] = num
        return noise(purpose, num)

    for changes, expected in (
        ({"contrastive.mask.selection": "guided"}, 0),
        ({"contrastive.mask.selection": "sampled"}, 64),
        ({"contrastive.mask.selection": "guided_shuffled"}, 64),
        ({"contrastive.mask.guided_share": 0.5}, 128),
    ):
        forward(*build(GUIDE | changes), counted)
        assert drawn["mask/contrastive/image"] == expected
