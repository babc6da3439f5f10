"""Writing in the released naming: the very names and shapes, and back again bit for bit."""

from dataclasses import replace

import pytest
import torch

from tests.released_states import SMALL, shapes
from tgdp import presets
from tgdp.config import Config, override
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.released.names import from_released, is_never_used, our_name, released_name
from tgdp.model.released.write import class_call, notes, script_type, to_released

SIZE = {
    "model.width": 64,
    "model.num_heads": 1,
    "model.decoder.width": 32,
    "model.decoder.num_layers": 2,
    "model.decoder.num_heads": 1,
}
VARIANTS = {
    "published": ({}, SMALL),
    "four_registers": ({"model.num_registers": 4}, replace(SMALL, registers=4)),
    "no_registers": ({"model.num_registers": 0}, replace(SMALL, registers=0)),
    "heads": ({"model.contrastive_head_layers": 2}, replace(SMALL, heads=True)),
    "no_cls": ({"model.pooling": "mean"}, replace(SMALL, cls=False)),
    "cav_mae": (
        {"model.pooling": "mean", "model.num_registers": 0, "data.audio": "clip"},
        replace(SMALL, cls=False, registers=0, audio_patches=512),
    ),
}


def make_config(changes) -> Config:
    plain = {
        "contrastive.mask.selection": "random",
        "teacher.enabled": False,
        "distillation.weight": 0.0,
    }
    return override(presets.paper(), {**SIZE, **plain, **changes})


@pytest.mark.parametrize("name", VARIANTS)
def test_names_and_shapes_are_the_released_ones_and_back_again_bit_for_bit(name):
    changes, size = VARIANTS[name]
    config = make_config(changes)
    student = Student(config)
    written = to_released(student.state_dict(), config)
    assert {n: tuple(v.shape) for n, v in written.items()} == {
        f"module.{n}": shape for n, shape in shapes(size).items()
    }
    for released, value in written.items():
        if is_never_used(released.removeprefix("module.")):
            assert torch.equal(value, torch.full_like(value, float(released.endswith("weight"))))
    back = from_released(written)
    assert back.keys() == student.state_dict().keys()
    assert all(torch.equal(back[n], v) for n, v in student.state_dict().items())


def test_every_name_translates_there_and_back():
    for name in shapes(replace(SMALL, heads=True)):
        if name != "register_tokens" and "pos_embed" not in name and not is_never_used(name):
            assert released_name(our_name(name)) == name
    with pytest.raises(UserError, match="log_temperature"):
        released_name("log_temperature")
    with pytest.raises(UserError, match="head_audio"):
        our_name("head_audio.0.attn.qkv.weight")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contrastive.learned_temperature": True}, r"contrastive\.learned_temperature"),
        ({"model.audio_patch": 8}, r"model\.audio_patch is 8: it has 16"),
        ({"model.image_patch": 8}, r"model\.image_patch is 8: it has 16"),
        ({"model.joint_layers": 2, "model.modality_layers": 10}, "joint_layers is 2: ours chain"),
        ({"model.modality_layers": 3}, r"model\.joint_layers is 4: it has 12 in all"),
        ({"model.contrastive_head_layers": 1}, "head_layers is 1: it has 0 or 2"),
    ],
)
def test_what_the_released_model_cannot_hold_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        to_released({}, make_config(changes))


def test_the_words_for_the_released_script():
    paper = presets.paper()
    assert script_type(paper) == "sync_pretrain_registers_cls_4s"
    heads = override(paper, {"model.contrastive_head_layers": 2, "data.segment_steps": 1024})
    assert script_type(heads) == "sync_pretrain_registers_cls_ch_10s"
    assert script_type(override(paper, {"model.num_registers": 4})) is None
    assert script_type(override(paper, {"data.segment_steps": 400})) is None
    assert script_type(make_config({})) is None
    assert "num_register_tokens=8, cls_token=True" in class_call(paper)


def test_what_the_weights_do_not_say_is_noted():
    (timing,) = notes(presets.paper())
    assert "10.24 s grid" in timing
    kept = override(presets.paper(), {"model.keep_registers": True, "data.timing": "upstream"})
    (flag,) = notes(kept)
    assert flag.startswith("keep_register_tokens is a flag")
    assert script_type(kept) is None
