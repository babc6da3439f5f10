"""Switches that change what a model is made of: against a plain computation of the same thing."""

import math

import pytest
import torch
from switch_bench import MIDDLE, RANDOM, inputs, learners, parts, with_changes
from torch import Tensor

from tgdp.config import Config, override
from tgdp.model import masking
from tgdp.model.dual_path import LOWEST_TEMPERATURE, Student, temperature
from tgdp.model.encoder import Branch, Encoder
from tgdp.model.passes import Selections, branch_tokens, reconstruct
from tgdp.model.teacher import teacher_pass
from tgdp.training.learner import build_learner
from tgdp.training.optim import build_optimizer
from tgdp.training.step import Batch
from tgdp.training.update import take_step

LEARNED = {"contrastive.learned_temperature": True}
KEPT = {"model.keep_registers": True}
MEAN = {"model.pooling": "mean", **RANDOM}
HEADS = {"model.contrastive_head_layers": 2}


def _parameters(config: Config) -> dict[str, torch.Size]:
    return {name: one.shape for name, one in Student(config).named_parameters()}


def test_a_learned_temperature_is_the_only_new_parameter_and_is_not_decayed():
    fixed, learned = Student(with_changes()), Student(with_changes(LEARNED))
    names = {name for name, _ in learned.named_parameters()}
    assert names - {name for name, _ in fixed.named_parameters()} == {"log_temperature"}
    groups = build_optimizer(learned, with_changes().training).param_groups
    holders = [g for g in groups if any(p is learned.log_temperature for p in g["params"])]
    assert [group["weight_decay"] for group in holders] == [0.0]


def test_a_learned_temperature_starts_as_configured_and_moves():
    config = with_changes(LEARNED, {"contrastive.temperature": 0.2, "contrastive.weight": 1.0})
    fixed = parts(override(config, {"contrastive.learned_temperature": False}))
    learned = parts(config)
    assert learned["contrastive"].item() == pytest.approx(fixed["contrastive"].item(), rel=1e-5)
    learner = build_learner(config, torch.device("cpu"))
    assert temperature(config, learner.student).item() == pytest.approx(0.2)
    pair = inputs(config)
    take_step(config, learner, Batch(*pair[:2], torch.arange(5), MIDDLE), rate=1e-2)
    assert learner.student.log_temperature.grad.abs() > 0
    assert temperature(config, learner.student).item() != pytest.approx(0.2, rel=1e-3)


def test_a_learned_temperature_is_held_at_its_bound_and_can_leave_it_again():
    config = with_changes(LEARNED)
    student = Student(config)
    with torch.no_grad():
        student.log_temperature.fill_(math.log(1e-4))
    student.hold_temperature()
    held = temperature(config, student)
    assert held.item() == pytest.approx(LOWEST_TEMPERATURE)
    held.backward()
    assert student.log_temperature.grad.item() == pytest.approx(LOWEST_TEMPERATURE)


def test_mean_pooling_has_no_cls_and_takes_the_mean_of_the_normed_patches():
    config = with_changes(MEAN)
    encoder = learners(config)[0].encoder
    assert encoder.audio.cls_token.numel() == encoder.image.cls_token.numel() == 0
    pair = inputs(config)
    tokens = encoder.audio(encoder.embed(pair.audio, pair.image).audio)
    assert tokens.shape[1] == 32
    for block in encoder.joint:
        tokens = block(tokens, "audio")
    by_hand = encoder.norms["audio"](tokens).mean(dim=1)
    torch.testing.assert_close(encoder(pair.audio, pair.image).audio, by_hand)


def test_mean_pooling_leaves_kept_registers_out_of_the_mean():
    config = with_changes(MEAN, KEPT)
    encoder = learners(config)[0].encoder
    pair = inputs(config)
    tokens = encoder.image(encoder.embed(pair.audio, pair.image).image)
    assert tokens.shape[1] == 16 + 4
    for block in encoder.joint:
        tokens = block(tokens, "image")
    by_hand = encoder.norms["image"](tokens[:, :16]).mean(dim=1)
    torch.testing.assert_close(encoder(pair.audio, pair.image).image, by_hand)


@pytest.mark.parametrize(
    ("num", "kept"), [(0, False), (4, False), (4, True), (8, False), (8, True)]
)
def test_registers_reach_the_joint_layer_only_where_they_are_kept(num, kept):
    config = with_changes({"model.num_registers": num, "model.keep_registers": kept})
    student = learners(config)[0]
    before = _seen_by(student, config)
    assert before.shape == (5, 1 + 32 + (num if kept else 0), 16)
    with torch.no_grad():
        student.encoder.audio.register_tokens.add_(1.0)
    # Through attention in the branch they have their say in either case.
    assert torch.equal(_seen_by(student, config), before) == (num == 0)


def _seen_by(student: Student, config: Config) -> Tensor:
    pair = inputs(config)
    with torch.no_grad():
        return student.encoder.audio(student.encoder.embed(pair.audio, pair.image).audio)


@pytest.mark.parametrize("kept", [False, True])
def test_reconstruction_is_that_of_a_slow_reference_in_which_order_is_plain(kept):
    """Branches in the order CLS, patches, registers; every token computed; then picked out."""
    config = with_changes({"model.keep_registers": kept})
    student, pair = learners(config)[0], inputs(config)
    encoder, patches = student.encoder, student.encoder.embed(pair.audio, pair.image)
    generator = torch.Generator().manual_seed(5)
    hidden = Selections(
        *(masking.random(torch.rand(5, n, generator=generator), 0.75) for n in (32, 16))
    )
    with torch.no_grad():
        fast = reconstruct(
            encoder, student.decoder, branch_tokens(encoder, patches, hidden), hidden
        )
        whole = (
            _plain_branch(encoder.audio, masking.gather(patches.audio, hidden.audio.ids_keep)),
            _plain_branch(encoder.image, masking.gather(patches.image, hidden.image.ids_keep)),
        )
        sound, sight = ((row[:, 1:] if kept else row[:, 1:-4]) for row in whole)
        tokens = torch.cat([sound, sight], dim=1)
        for block in encoder.joint:
            tokens = block(tokens, "shared")
        tokens = encoder.norms["shared"](tokens)
        start = sound.shape[1]
        joint = torch.cat([tokens[:, :8], tokens[:, start : start + 4]], dim=1)
        slow = student.decoder(joint, *hidden)
    assert fast.audio.shape == (5, 32, 256)
    assert fast.image.shape == (5, 16, 192)
    torch.testing.assert_close(fast.audio, slow.audio)
    torch.testing.assert_close(fast.image, slow.image)


def _plain_branch(branch: Branch, patches: Tensor) -> Tensor:
    size = len(patches)
    cls, registers = branch.cls_token.expand(size, -1, -1), branch.register_tokens
    tokens = torch.cat([cls, patches, registers.expand(size, -1, -1)], dim=1)
    for block in branch.blocks:
        tokens = block(tokens)
    return tokens


def test_heads_stand_behind_the_joint_layers_of_the_contrastive_path_alone():
    plain, headed = _parameters(with_changes()), _parameters(with_changes(HEADS))
    assert {name.split(".")[1] for name in headed.keys() - plain.keys()} == {"heads"}
    config = with_changes(HEADS)
    encoder, pair = learners(config)[0].encoder, inputs(config)
    tokens = encoder.audio(encoder.embed(pair.audio, pair.image).audio)
    for block in encoder.joint:
        tokens = block(tokens, "audio")
    for block in encoder.heads["audio"]:
        tokens = block(tokens)
    by_hand = encoder.norms["audio"](tokens)[:, 0]
    torch.testing.assert_close(encoder(pair.audio, pair.image).audio, by_hand)


@pytest.mark.parametrize("direction", ["cls_to_patch", "patch_to_cls"])
@pytest.mark.parametrize("changes", [{}, KEPT, HEADS, {"model.joint_layers": 1}])
def test_priority_is_the_head_average_of_the_last_joint_layer(direction, changes):
    config = with_changes(changes)
    teacher, pair = learners(config)[1], inputs(config)
    for with_vectors in (True, False):
        view = teacher_pass(teacher, pair.audio, pair.image, direction, with_vectors=with_vectors)
        by_hand = _attention(teacher, pair.image)
        expected = by_hand[:, 0, 1:17] if direction == "cls_to_patch" else by_hand[:, 1:17, 0]
        torch.testing.assert_close(view.priority.image, expected)
        if with_vectors:
            torch.testing.assert_close(view.vectors.image, teacher.encode(pair.image, "image"))


@torch.no_grad()
def _attention(encoder: Encoder, image: Tensor) -> Tensor:
    tokens = encoder.image(encoder.image.patch_embed(image))
    *before, last = encoder.joint
    for block in before:
        tokens = block(tokens, "image")
    tokens = last.norm1["image"](tokens)
    batch, num, width = tokens.shape
    heads = last.attn.num_heads
    query, key, _ = last.attn.qkv(tokens).view(batch, num, 3, heads, -1).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-2, -1) / math.sqrt(width // heads)
    return scores.softmax(dim=-1).mean(dim=1)
