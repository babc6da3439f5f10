"""Reading the published checkpoints: real names, real shapes, and every wrong file refused."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.released_states import (
    CAV_MAE,
    CAV_MAE_FINE_TUNED,
    SMALL,
    TG_DP,
    count,
    random,
    shapes,
    zeros,
)
from tgdp import presets
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.released.compare import CLASSIFIER, FIXED_POSITIONS, NO_DECODER, UNUSED_NORM
from tgdp.model.released.layout import layout
from tgdp.model.released.names import from_released
from tgdp.model.released.read import Heads, examine, read_checkpoint, read_state
from tgdp.model.released.sizes import sizes_of_config

FIGURES = Path(__file__).parents[2] / "parity"
PUBLISHED = {
    "tg_dp": (TG_DP, "TG-DP or CAV-MAE Sync", 190_660_864),
    "no_heads_no_registers": (replace(TG_DP, registers=0), "TG-DP or CAV-MAE Sync", 190_648_576),
    "heads": (replace(TG_DP, heads=True), "TG-DP or CAV-MAE Sync", 219_036_928),
    "cav_mae": (CAV_MAE, "CAV-MAE", 191_036_160),
    "cav_mae_fine_tuned": (CAV_MAE_FINE_TUNED, "CAV-MAE, fine-tuned", 164_907_023),
    "encoder_only": (
        replace(TG_DP, decoder=None),
        "TG-DP or CAV-MAE Sync, encoder only",
        164_280_576,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size_names_and_shapes_are_all_accounted_for(name):
    size, kind, parameters = PUBLISHED[name]
    names = shapes(size)
    assert count(names) == parameters
    released = examine(zeros(names), "file")
    report = released.report
    assert released.kind == kind
    assert not report.problems
    assert {*report.loaded, *report.unexpected} == names.keys()
    assert layout(released.sizes) == {n: s for n, s in names.items() if "mlp_head" not in n}
    reasons = {reason for part in (report.unexpected, report.missing) for reason in part.values()}
    expected = {UNUSED_NORM, FIXED_POSITIONS}
    expected |= {CLASSIFIER} if size.classes else set()
    assert reasons == (expected if size.decoder else expected | {NO_DECODER})


def test_what_the_published_model_holds_and_ours_does_not_is_norms_and_positions():
    released = examine(zeros(shapes(TG_DP)), "file")
    ours = from_released(released.tensors)
    unused = [n for n, reason in released.report.unexpected.items() if reason == UNUSED_NORM]
    fixed = [n for n, reason in released.report.unexpected.items() if reason == FIXED_POSITIONS]
    parameters = {
        kind: sum(released.tensors[name].numel() for name in names)
        for kind, names in (("unused", unused), ("fixed", fixed))
    }
    assert parameters == {"unused": 167_936, "fixed": 517_120}
    assert sum(value.numel() for value in ours.values()) == 189_975_808
    assert 189_975_808 + 167_936 + 517_120 == 190_660_864
    assert sizes_of_config(presets.paper()) == released.sizes


def test_the_preset_paper_has_exactly_those_parameters(monkeypatch):
    # Memory that nothing initialises is never touched, so full size costs neither time nor room.
    for name in ("kaiming_uniform_", "uniform_", "xavier_uniform_", "normal_", "zeros_", "ones_"):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)
    model = Student(presets.paper())
    ours = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    released = from_released(zeros(shapes(TG_DP)))
    assert ours == {name: tuple(value.shape) for name, value in released.items()}
    assert sum(p.numel() for p in model.parameters()) == 189_975_808


def test_sizes_and_heads_of_the_published_files():
    config = examine(zeros(shapes(TG_DP)), "file").config
    assert config.model == presets.paper().model
    assert (config.data.audio, config.data.segment_steps) == ("segment", 416)
    assert (config.data.image_size, config.data.timing) == (224, "upstream")
    cav_mae = examine(zeros(shapes(CAV_MAE)), "file").config
    assert (cav_mae.data.audio, cav_mae.data.clip_steps) == ("clip", 1024)
    assert (cav_mae.model.pooling, cav_mae.model.num_registers) == ("mean", 0)


@pytest.mark.parametrize("size", [SMALL, replace(SMALL, cls=False, registers=0, heads=True)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_file_is_loaded_strictly_with_or_without_prefix(tmp_path, size, wrapped):
    state = random(shapes(size))
    content = {"model": state} if wrapped else {f"module.{n}": v for n, v in state.items()}
    torch.save(content, tmp_path / "file.pth")
    released = read_checkpoint(tmp_path / "file.pth")
    student = released.build_student()
    head = "encoder.heads.image.1.attn.qkv.weight" if size.heads else None
    if head:
        assert torch.equal(
            student.state_dict()[head], state["constrative_head_visual.1.attn.qkv.weight"]
        )
    if size.registers:
        assert torch.equal(
            student.state_dict()["encoder.image.register_tokens"][0], state["register_tokens"][8:]
        )
    encoder = released.build_encoder().state_dict()
    assert all(torch.equal(encoder[n], v) for n, v in student.encoder.state_dict().items())


def test_an_encoder_alone_makes_an_encoder_but_no_student():
    released = examine(random(shapes(replace(SMALL, decoder=None))), "file.pth")
    released.build_encoder()
    with pytest.raises(UserError, match=r"file\.pth: holds no decoder"):
        released.build_student()


def test_heads_that_no_shape_tells_are_asked_for():
    state = random(shapes(replace(SMALL, width=48)))
    with pytest.raises(UserError, match=r"width 48 is not a multiple .* give it with --heads"):
        _ = examine(state, "file").config
    assert examine(state, "file", Heads(4, 4)).config.model.num_heads == 4


def edited(**changes) -> dict[str, torch.Tensor]:
    state = zeros(shapes(SMALL))
    for word, value in changes.items():
        state[word.replace("__", ".")] = value
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (edited(temperature=torch.ones(1)), "temperature: nothing of that name is known"),
        (edited(norm_a__bias=None), r"norm_a\.bias: the file does not hold it"),
        (edited(modality_a=torch.zeros(1, 1, 8)), r"modality_a: shape \(1, 1, 8\)"),
        (edited(decoder_embed__weight=None), "a part of a decoder"),
        (edited(pos_embed_a=torch.zeros(1, 208, 64)), "pos_embed_a: .* learned positions"),
        (edited(pos_embed_v=torch.full((1, 196, 64), float("nan"))), "learned positions"),
        (edited(pos_embed_v=torch.zeros(1, 195, 64)), "195 places, which is not a square"),
        (edited(pos_embed_a=torch.zeros(1, 207, 64)), "207 places, not a multiple of 8"),
        (edited(register_tokens=torch.zeros(15, 64)), "15 rows, not the same number twice"),
        (edited(patch_embed_a__proj__weight=None), "it has no patch_embed_a.proj.weight"),
        ({n: v for n, v in edited().items() if "blocks_v.10." not in n}, "11 layers .* has 10"),
        ({n: v for n, v in edited().items() if "blocks_a.3." not in n}, r"blocks_a\.3 is missing"),
    ],
)
def test_what_nothing_explains_is_an_error_that_names_it(tmp_path, state, message):
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(UserError, match=message) as error:
        read_checkpoint(tmp_path / "wrong.pth")
    assert str(error.value).startswith(str(tmp_path / "wrong.pth"))


def test_more_than_one_joint_layer_is_noted():
    size = replace(SMALL, layers=10)
    (note,) = examine(zeros(shapes(size)), "file").report.notes
    assert note.startswith("2 joint layers: ours chain")


def test_files_that_are_not_weights_alone_are_refused(tmp_path):
    def refuse(content, message):
        torch.save(content, tmp_path / "file.pth")
        with pytest.raises(UserError, match=message):
            read_state(tmp_path / "file.pth")

    refuse({"model": {}, "args": argparse.Namespace(lr=1)}, "not a file of weights alone")
    refuse({"model": {"epoch": 3}}, "not a state dict: epoch is not a tensor")
    refuse([torch.zeros(1)], "not a state dict")
    refuse({"norm.bias": torch.ones(1), "module.norm.bias": torch.ones(1)}, "there twice")
    refuse({"format": 1, "step": 1, "config": "", "student": {}}, "a checkpoint of tgdp itself")
    (tmp_path / "file.pth").write_bytes(b"no zip")
    with pytest.raises(UserError, match="not a file of weights alone"):
        read_state(tmp_path / "file.pth")
    with pytest.raises(UserError, match="no such file"):
        read_state(tmp_path / "absent.pth")


@pytest.mark.parametrize("file", ["figures.npz", "two_joint_layers.npz", "no_registers.npz"])
def test_the_weights_behind_the_parity_figures_are_all_accounted_for(file):
    if not (FIGURES / file).is_file():
        pytest.skip(f"{file} is not there")
    with np.load(FIGURES / file) as figures:
        stored = {n: torch.from_numpy(np.atleast_1d(figures[n])) for n in figures.files}
    state = {n.removeprefix("weights/"): v for n, v in stored.items() if n.startswith("weights/")}
    heads = Heads(int(stored["config/num_heads"]), int(stored["config/decoder_num_heads"]))
    released = examine(state, file, heads)
    assert not released.report.problems
    assert released.sizes.width == int(stored["config/embed_dim"])
    assert released.sizes.joint_layers == int(stored["config/joint_depth"])
    assert released.config.data.audio_steps == int(stored["config/audio_steps"])
    assert released.config.data.image_size == int(stored["config/image_size"])
    released.build_student()


@pytest.mark.shared
def test_the_golden_weights_have_the_names_and_shapes_that_the_rule_says(shared):
    with np.load(shared / "parity" / "golden.npz") as figures:
        golden = {n[8:]: figures[n].shape for n in figures.files if n.startswith("weights/")}
    assert golden == shapes(replace(TG_DP, width=32, decoder=(24, 2)))
