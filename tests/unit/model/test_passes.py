"""The passes: equal to the plain computation, and nothing leaks between them."""

import pytest
import torch
import torch.nn.functional as F

from tgdp import presets
from tgdp.config import Config, override
from tgdp.model import masking
from tgdp.model.blocks import Attention, JointBlock, Layers
from tgdp.model.dual_path import Student
from tgdp.model.passes import Selections, branch_tokens, contrast
from tgdp.model.teacher import build_teacher, follow, teacher_pass
from tgdp.model.tokens import Grid, PatchEmbed, patchify_channels_first
from tgdp.training.learner import build_learner


@pytest.fixture
def config() -> Config:
    changes = {"model.width": 16, "model.num_registers": 2, "model.joint_layers": 2}
    return override(presets.tiny(), changes)


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(3, 96, 128, generator=generator),
        torch.randn(3, 3, 48, 48, generator=generator),
    )


def test_the_first_tokens_alone_equal_those_of_the_whole_layer():
    torch.manual_seed(0)
    block, tokens = JointBlock(16, 4, 4.0), torch.randn(2, 9, 16)
    whole = block(tokens, "image")
    for num in (1, 4, 9):
        torch.testing.assert_close(block(tokens, "image", num), whole[:, :num])
        for direction in ("cls_to_patch", "patch_to_cls"):
            ranked = block.ranked(tokens, "image", num, 6, direction)
            torch.testing.assert_close(ranked.tokens, whole[:, :num])


def test_layers_in_a_row_equal_one_after_the_other():
    torch.manual_seed(0)
    layers, tokens = Layers(3, 16, 4, 4.0, "float32"), torch.randn(2, 9, 16)
    first, second, third = layers
    before = second(first(tokens))
    assert torch.equal(layers(tokens), third(before))
    assert torch.equal(layers(tokens, 2), third(before, 2))
    assert torch.equal(Layers(0, 16, 4, 4.0, "float32")(tokens, 2), tokens[:, :2])


def test_the_residual_has_its_type_under_autocast_and_there_alone():
    torch.manual_seed(0)
    tokens = torch.randn(2, 9, 16)
    for word, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        layers = Layers(2, 16, 4, 4.0, word)
        assert layers(tokens).dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            assert layers(tokens).dtype == kind


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_by_a_matrix_product_are_those_of_the_convolution(channels):
    # What a GPU does; here there may be none.
    torch.manual_seed(0)
    embed, picture = PatchEmbed(channels, 8, Grid(2, 3), 12), torch.randn(2, channels, 16, 24)
    weight, bias = embed.proj.weight.flatten(1), embed.proj.bias
    product = F.linear(patchify_channels_first(picture, 8), weight, bias)
    torch.testing.assert_close(product, embed.proj(picture).flatten(2).transpose(1, 2))


def test_untrained_weights_stay_those_that_runs_of_a_seed_began_with():
    # Parts made in another order would get other random numbers: every run would be another one.
    weights = dict(build_learner(presets.tiny(), torch.device("cpu")).student.named_parameters())
    first = {
        "encoder.audio.patch_embed.proj.weight": [0.116647, 0.082691],
        "encoder.image.patch_embed.proj.weight": [-0.147400, 0.093099],
        "decoder.predict_image.weight": [0.043166, 0.126350],
    }
    for name, values in first.items():
        assert weights[name].flatten()[:2].tolist() == pytest.approx(values, abs=1e-6)


def test_priorities_are_the_row_and_the_column_of_the_attention_matrix():
    torch.manual_seed(0)
    attention, tokens = Attention(16, 4), torch.randn(2, 9, 16)
    query, key, _ = attention.qkv(tokens).view(2, 9, 3, 4, 4).permute(2, 0, 3, 1, 4)
    matrix = (query @ key.transpose(-2, -1) / 2).softmax(dim=-1).mean(dim=1)
    for num in (0, 1):  # with and without the CLS itself; the last two tokens are registers
        row = attention.ranked(tokens, num, 6, "cls_to_patch")[1]
        column = attention.ranked(tokens, num, 6, "patch_to_cls")[1]
        torch.testing.assert_close(row, matrix[:, 0, 1:7])
        torch.testing.assert_close(column, matrix[:, 1:7, 0])


def test_full_view_of_the_contrastive_pass_is_what_retrieval_sees(config, inputs):
    student = Student(config)
    full = (masking.random(torch.rand(3, num), 0.0) for num in (48, 36))
    visible = Selections(*full)
    vectors = contrast(
        student.encoder, branch_tokens(student.encoder, student.encoder.embed(*inputs), visible)
    )
    torch.testing.assert_close(vectors.audio, student.encoder(*inputs).audio)


def test_joint_layers_chain(config, inputs):
    student = Student(config)
    before = student.encoder(*inputs).audio
    with torch.no_grad():
        student.encoder.joint[0].mlp.fc2.bias[0].add_(1.0)
    assert not torch.allclose(before, student.encoder(*inputs).audio)


def test_each_modality_sees_only_itself(config, inputs):
    student = Student(config)
    audio, image = inputs
    before = student.encoder(audio, image)
    after = student.encoder(audio, image + 1)
    assert torch.equal(before.audio, after.audio)
    assert not torch.allclose(before.image, after.image)


def test_no_gradient_reaches_the_teacher(config, inputs):
    student = Student(config)
    teacher = build_teacher(student.encoder)
    view = teacher_pass(teacher, *inputs, "cls_to_patch")
    assert not view.vectors.audio.requires_grad
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def test_the_teacher_follows_by_its_momentum(config):
    student = Student(config)
    teacher = build_teacher(student.encoder)
    with torch.no_grad():
        for parameter in student.encoder.parameters():
            parameter.add_(1.0)
    follow(teacher, student.encoder, momentum=0.75)
    for slow, quick in zip(teacher.parameters(), student.encoder.parameters(), strict=True):
        torch.testing.assert_close(slow, quick - 0.75)
