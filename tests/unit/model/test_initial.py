"""What a student starts from: the mapping of an MAE, by name from a CAV-MAE, refusals."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch

from tests.released_states import CAV_MAE, SMALL, count, mae_shapes, random, shapes, zeros
from tgdp import presets
from tgdp.config import Config, from_dict, override, to_dict
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.initial import initialise
from tgdp.model.released.mae import from_mae
from tgdp.training.learner import build_learner

SIZE = {
    "model.width": 64,
    "model.num_heads": 1,
    "model.num_registers": 2,
    "model.decoder.width": 32,
    "model.decoder.num_layers": 2,
    "model.decoder.num_heads": 1,
    "data.segment_steps": 96,
    "data.image_size": 64,
}


def make_config(tmp_path: Path, state, **changes) -> Config:
    file = tmp_path / "start.pth"
    torch.save(state, file)
    start = {"init.source": "file", "init.file": str(file)}
    return override(presets.paper(), {**SIZE, **start, **changes})


def own_start(config: Config) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Student(config).state_dict()


def started(config: Config):
    torch.manual_seed(0)
    student = Student(config)
    done = initialise(student, config)
    assert done is not None
    return student.state_dict(), done


def test_full_size_names_are_those_that_timm_has():
    with torch.random.fork_rng():
        model = timm.create_model("vit_tiny_patch16_224", class_token=True, num_classes=0)
    assert {n: tuple(v.shape) for n, v in model.state_dict().items()} == mae_shapes(192)
    assert count(mae_shapes()) == 85_798_656
    start = from_mae(zeros(mae_shapes(768, 12, (512, 8))), presets.paper().model, "file")
    ours = {n: tuple(v.shape) for n, v in start.weights.items()}
    assert ours["encoder.audio.patch_embed.proj.weight"] == (768, 1, 16, 16)
    assert ours["decoder.predict_audio.weight"] == (256, 512)
    assert ours["decoder.predict_image.weight"] == (768, 512)
    assert start.left_out.keys() == {"pos_embed", "decoder_pos_embed"}


@pytest.mark.parametrize("wrapped", [False, True])
def test_every_weight_of_an_mae_goes_where_the_method_says(tmp_path, wrapped):
    mae = random(mae_shapes(64, 12, (32, 2)))
    config = make_config(tmp_path, {"model": mae} if wrapped else mae)
    ours, done = started(config)
    for layer in range(11):
        for rest in ("attn.qkv.weight", "norm1.bias", "mlp.fc2.weight"):
            for modality in ("audio", "image"):
                name = f"encoder.{modality}.blocks.{layer}.{rest}"
                assert torch.equal(ours[name], mae[f"blocks.{layer}.{rest}"])
    assert torch.equal(ours["encoder.joint.0.attn.proj.weight"], mae["blocks.11.attn.proj.weight"])
    for stream in ("shared", "audio", "image"):
        for norm in ("norm1", "norm2"):
            name = f"encoder.joint.0.{norm}.{stream}.weight"
            assert torch.equal(ours[name], mae[f"blocks.11.{norm}.weight"])
        assert torch.equal(ours[f"encoder.norms.{stream}.bias"], mae["norm.bias"])
    kernel = mae["patch_embed.proj.weight"]
    assert torch.equal(ours["encoder.image.patch_embed.proj.weight"], kernel)
    summed = kernel[:, 0] + kernel[:, 1] + kernel[:, 2]
    torch.testing.assert_close(ours["encoder.audio.patch_embed.proj.weight"][:, 0], summed)
    assert torch.equal(ours["encoder.audio.patch_embed.proj.bias"], mae["patch_embed.proj.bias"])
    assert torch.equal(ours["encoder.image.cls_token"], mae["cls_token"])
    assert torch.equal(ours["decoder.mask_token"], mae["mask_token"])
    assert torch.equal(ours["decoder.blocks.1.norm2.weight"], mae["decoder_blocks.1.norm2.weight"])
    assert torch.equal(ours["decoder.predict_audio.bias"], mae["decoder_pred.bias"][:256])
    assert torch.equal(ours["decoder.predict_image.weight"], mae["decoder_pred.weight"])
    own = own_start(config)
    marks = [f"encoder.{m}.patch_embed.modality" for m in ("audio", "image")]
    registers = [f"encoder.{m}.register_tokens" for m in ("audio", "image")]
    kept = {*marks, *registers, "decoder.modality_audio", "decoder.modality_image"}
    assert set(done.kept) == kept
    assert all(torch.equal(ours[name], own[name]) for name in kept)
    assert {*done.taken, *done.kept} == ours.keys()


def test_without_its_decoder_an_mae_leaves_ours_at_its_own_start(tmp_path, caplog):
    config = make_config(tmp_path, random(mae_shapes(64)))
    ours, done = started(config)
    own = own_start(config)
    decoder = [name for name in ours if name.startswith("decoder.")]
    assert all(torch.equal(ours[name], own[name]) for name in decoder)
    assert "without the decoder" in str(done)
    assert str(done) in caplog.text


def test_a_model_without_cls_leaves_that_of_the_mae_out(tmp_path):
    changes = {"model.pooling": "mean", "contrastive.mask.selection": "random"}
    config = make_config(tmp_path, random(mae_shapes(64)), **changes)
    _, done = started(config)
    assert done.left_out["cls_token"] == "model.pooling is 'mean': there is no CLS"


def test_a_cav_mae_file_is_taken_by_name_with_what_it_has(tmp_path):
    size = replace(CAV_MAE, width=64, decoder=(32, 2))
    state = random(shapes(size))
    config = make_config(tmp_path, {f"module.{name}": value for name, value in state.items()})
    ours, done = started(config)
    assert torch.equal(
        ours["encoder.joint.0.norm1.audio.weight"], state["blocks_u.0.norm1_a.weight"]
    )
    assert torch.equal(ours["encoder.image.patch_embed.modality"], state["modality_v"])
    assert torch.equal(ours["decoder.predict_audio.weight"], state["decoder_pred_a.weight"])
    tokens = {
        f"encoder.{m}.{t}" for m in ("audio", "image") for t in ("cls_token", "register_tokens")
    }
    assert set(done.kept) == tokens


def test_start_weights_of_cav_mae_bring_the_cls_of_the_mae(tmp_path):
    """Their script adds three copies of it to a model that has none."""
    state = random(shapes(replace(CAV_MAE, width=64, decoder=(32, 2))))
    cls = torch.randn(1, 1, 64)
    state |= {f"cls_token_{suffix}": cls for suffix in ("a", "v", "av")}
    ours, done = started(make_config(tmp_path, state))
    assert torch.equal(ours["encoder.audio.cls_token"], cls)
    assert done.left_out["cls_token_av"].startswith("CLS of a third stream")


def test_registers_and_cls_that_the_model_has_no_place_for_are_named(tmp_path):
    changes = {"model.pooling": "mean", "contrastive.mask.selection": "random"}
    changes |= {"model.num_registers": 0}
    _, done = started(make_config(tmp_path, random(shapes(SMALL)), **changes))
    assert done.left_out["cls_token_v"] == "model.pooling is 'mean': there is no CLS"
    assert done.left_out["register_tokens"] == "model.num_registers is 0"


CAV = shapes(SMALL)
MAE = mae_shapes(64)


@pytest.mark.parametrize(
    ("names", "changes", "message"),
    [
        (MAE, {"model.width": 128}, "model.width is 128, the file's is 64"),
        (MAE, {"model.modality_layers": 10}, "model.joint_layers is 11, the file's is 12"),
        (MAE, {"model.audio_patch": 8}, "model.audio_patch is 8, the file's is 16"),
        (MAE, {"model.mlp_ratio": 2.0}, "mlp_ratio is 128, the file's is 256"),
        (mae_shapes(64, 12, (48, 2)), {}, "model.decoder.width is 32, the file's is 48"),
        (mae_shapes(64, 12, (32, 3)), {}, "decoder.num_layers is 2, the file's is 3"),
        (CAV, {"model.width": 128}, "model.width is 128, the file's is 64"),
        (CAV, {"model.joint_layers": 2}, "model.joint_layers is 2, the file's is 1"),
        (CAV, {"model.num_registers": 4}, "model.num_registers is 4, the file's is 8"),
        (shapes(replace(SMALL, heads=True)), {}, "contrastive_head_layers is 0, the file's is 2"),
        ({**MAE, "head.weight": (10, 64)}, {}, "'head.weight' is not a weight of an MAE"),
        ({**CAV, "surplus": (1,)}, {}, "1 names are not explained: surplus"),
        (
            {n: s for n, s in MAE.items() if n != "norm.bias"},
            {},
            "nothing in it is for encoder.norms",
        ),
        ({**MAE, "blocks.3.attn.q_norm.weight": (64,)}, {}, "the model's is none"),
        ({"conv1.weight": (3,)}, {}, "neither a state dict of an MAE nor one of CAV-MAE"),
        ({"patch_embed.proj.weight": (64, 3, 16, 16)}, {}, "not the state dict of an MAE ViT"),
    ],
)
def test_what_does_not_fit_is_refused_with_both_sizes(tmp_path, names, changes, message):
    registers = {"model.num_registers": 8} if "modality_a" in names else {}
    config = make_config(tmp_path, zeros(names), **{**registers, **changes})
    with pytest.raises(UserError, match=message) as error:
        initialise(Student(config), config)
    assert "start.pth" in str(error.value)


def test_learned_positions_are_refused(tmp_path):
    state = random(MAE)
    state["pos_embed"] = torch.randn(1, 197, 64)
    config = make_config(tmp_path, state)
    with pytest.raises(UserError, match=r"pos_embed: .*learned positions"):
        initialise(Student(config), config)


def test_the_content_must_be_what_the_run_is_named_by(tmp_path):
    config = make_config(tmp_path, random(MAE))
    assert config.init.file is not None
    digest = hashlib.sha256(config.init.file.read_bytes()).hexdigest()
    named = override(config, {"init.sha256": digest})
    assert initialise(Student(named), named) is not None
    config.init.file.write_bytes(b"other")
    with pytest.raises(UserError, match=f"its content is not .* init.sha256 is {digest}"):
        initialise(Student(named), named)
    config.init.file.unlink()
    with pytest.raises(UserError, match=r"init\.file .*start\.pth: no such file"):
        initialise(Student(named), named)
    nameless = from_dict({**to_dict(named), "init": {"source": "file", "sha256": digest}})
    with pytest.raises(UserError, match=r"init\.file: not given"):
        initialise(Student(nameless), nameless)


def test_the_teacher_starts_from_the_same_weights_and_scratch_from_none(tmp_path):
    config = make_config(tmp_path, random(MAE))
    learner = build_learner(config, torch.device("cpu"))
    assert learner.teacher is not None
    teacher, student = learner.teacher.state_dict(), learner.student.encoder.state_dict()
    assert all(torch.equal(teacher[name], student[name]) for name in student)
    resumed = build_learner(config, torch.device("cpu"), is_start=False)
    scratch = override(config, {"init.source": "scratch", "init.file": None})
    plain = build_learner(scratch, torch.device("cpu"))
    assert initialise(plain.student, scratch) is None
    name = "encoder.joint.0.attn.qkv.weight"
    kernels = [each.student.state_dict()[name] for each in (learner, resumed, plain)]
    assert not torch.equal(kernels[0], kernels[1])
    assert torch.equal(kernels[1], kernels[2])
