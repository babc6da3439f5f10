"""The released way of working computes what ours does, so that only the time differs."""

import copy

import pytest
import torch

from tgdp import presets
from tgdp.bench.plain import build_plain, check_plain, plain_losses, take_plain_step
from tgdp.config import override
from tgdp.data import draws
from tgdp.errors import UserError
from tgdp.model.dual_path import Student
from tgdp.model.schedules import Moment
from tgdp.model.teacher import build_teacher
from tgdp.training.step import Batch, compute_losses

SMALL = {
    "data.image_size": 32,
    "data.segment_steps": 32,
    "data.clip_steps": 48,
    "model.width": 16,
    "model.num_heads": 2,
    "model.num_registers": 3,
    "model.decoder.width": 8,
    "contrastive.weight": 0.1,
}
CASES = {
    "single": {**presets.SINGLE_PASS, **presets.NO_TEACHER},
    "dual": {"passes": "dual", **presets.NO_TEACHER},
    "teacher": {"passes": "dual", **presets.WITH_TEACHER},
    "one way, learned, no registers": {
        **presets.WITH_TEACHER,
        "contrastive.mask.attention": "patch_to_cls",
        "contrastive.directions": "one_way",
        "contrastive.learned_temperature": True,
        "reconstruction.pixel_norm": True,
        "distillation.normalize": False,
        "model.num_registers": 0,
    },
}


def _config(changes):
    return override(presets.tiny(), {**SMALL, **changes})


def _batch(config, num=4):
    generator = torch.Generator().manual_seed(1)
    audio = torch.randn(num, config.data.audio_steps, 128, generator=generator)
    side = config.data.image_size
    image = torch.randn(num, 3, side, side, generator=generator)
    return Batch(audio, image, torch.arange(num), Moment(0, 10, 0))


def _of_draws(config, batch):
    def noise(purpose, num):
        return draws.uniform(config.seed, purpose, batch.moment.epoch, batch.samples, num)

    return noise


def _learn(config):
    torch.manual_seed(0)
    student = Student(config)
    if not config.teacher.enabled:
        return student, None
    teacher = build_teacher(student.encoder)
    with torch.no_grad():
        # A teacher that is not the student, or distillation would be about nothing.
        for parameter in teacher.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return student, teacher


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_losses_and_all_gradients_are_ours(changes):
    config = _config(changes)
    batch = _batch(config)
    student, teacher = _learn(config)
    plain = copy.deepcopy(student)
    ours = compute_losses(config, student, teacher, batch)
    theirs = plain_losses(config, plain, teacher, batch, _of_draws(config, batch))
    for name, value in ours._asdict().items():
        other = getattr(theirs, name)
        assert (value is None) == (other is None), name
        if value is not None:
            torch.testing.assert_close(other, value, rtol=1e-5, atol=1e-7)
    ours.total.backward()
    theirs.total.backward()
    for (name, one), other in zip(student.named_parameters(), plain.parameters(), strict=True):
        if not one.numel():
            continue  # No registers: ours passes them on, plain does not look at them.
        assert one.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(
            other.grad, one.grad, rtol=1e-5, atol=1e-5 * float(one.grad.abs().max()) + 1e-9
        )


def test_the_teacher_follows_and_gets_no_gradient():
    config = _config({**CASES["teacher"], "teacher.momentum": 0.5})
    learner = build_plain(config, torch.device("cpu"))
    assert learner.teacher is not None
    before = [parameter.detach().clone() for parameter in learner.teacher.parameters()]
    values = take_plain_step(config, learner, _batch(config))
    assert len(values) == 4
    teacher, student = learner.teacher.parameters(), learner.student.encoder.parameters()
    for old, slow, fast in zip(before, teacher, student, strict=True):
        assert slow.grad is None
        torch.testing.assert_close(slow, 0.5 * old + 0.5 * fast)
        assert not old.numel() or not torch.equal(slow, fast)


def test_plain_steps_lower_the_loss():
    config = _config({**CASES["teacher"], "training.learning_rate": 1e-2})
    learner, batch = build_plain(config, torch.device("cpu")), _batch(config)
    losses = [take_plain_step(config, learner, batch)[0] for _ in range(8)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.joint_layers", 2),
        ("model.keep_registers", True),
        ("model.contrastive_head_layers", 1),
        ("reconstruction.mask.audio_structure", "time"),
        ("reconstruction.weight", 0.0),
        ("training.accumulation", 2),
    ],
)
def test_what_the_released_code_cannot_do_is_refused_by_name(key, value):
    config = _config({**CASES["dual"], key: value})
    with pytest.raises(UserError, match=key):
        check_plain(config)
