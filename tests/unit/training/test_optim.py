"""The learning rate of a step, against the field's schedulers; what is decayed."""

import pytest
import torch
from timm.scheduler.cosine_lr import CosineLRScheduler

from tgdp import presets
from tgdp.config import TrainingConfig, override
from tgdp.model.dual_path import Student
from tgdp.training.optim import build_optimizer, learning_rate, scaled

TOTAL = 200


def training(**changes) -> TrainingConfig:
    return override(
        presets.tiny(), {f"training.{key}": value for key, value in changes.items()}
    ).training


def rates(config: TrainingConfig) -> list[float]:
    return [learning_rate(config, step, TOTAL) for step in range(TOTAL)]


def test_the_cosine_is_timms_once_the_rate_has_risen():
    config = training(warmup=0.1, learning_rate=1e-3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    theirs = CosineLRScheduler(optimizer, t_initial=TOTAL - 20, t_in_epochs=False)
    found = []
    for step in range(TOTAL - 20):
        theirs.step_update(step)
        found.append(optimizer.param_groups[0]["lr"])
    assert rates(config)[20:] == pytest.approx(found, rel=1e-12, abs=1e-18)
    assert rates(config)[:20] == pytest.approx([1e-3 * step / 20 for step in range(1, 21)])


def test_the_steps_are_torchs():
    config = training(warmup=0.0, schedule="step", learning_rate=1.0, decay_factor=0.5)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [80, 120, 160], gamma=0.5)
    found = []
    for _ in range(TOTAL):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    assert rates(config) == pytest.approx(found)


def test_the_steps_of_cav_mae_halve_the_rate_in_the_epochs_its_trainer_does():
    config = presets.cav_mae().training
    epochs, steps = 25, 1000  # its scheduler: milestones range(10, 1000, 5), gamma 0.5
    assert config.epochs == epochs
    found = [learning_rate(config, epoch * steps, epochs * steps) for epoch in range(epochs)]
    due = [config.learning_rate * 0.5 ** max(0, (epoch - 10) // 5 + 1) for epoch in range(3, 25)]
    assert found[3:] == pytest.approx(due)


def test_constant_is_constant_after_the_rise():
    assert set(rates(training(warmup=0.1, schedule="constant"))[20:]) == {2e-3}


def test_the_rate_goes_with_the_batch_only_where_that_is_asked_for():
    config = training(learning_rate=1e-3)
    assert scaled(config, 512) is config
    asked = training(learning_rate=1e-3, learning_rate_batch=256)
    assert scaled(asked, 512).learning_rate == pytest.approx(2e-3)
    assert scaled(asked, 48).learning_rate == pytest.approx(1e-3 * 48 / 256)


def test_norms_biases_and_tokens_are_not_decayed():
    student = Student(override(presets.tiny(), {"contrastive.learned_temperature": True}))
    decayed, rest = build_optimizer(student, training(weight_decay=0.1)).param_groups
    assert (decayed["weight_decay"], rest["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in student.named_parameters()}
    kept = {names[id(p)] for p in rest["params"]}
    assert len(kept) + len(decayed["params"]) == len(names)
    assert {"log_temperature", "encoder.audio.cls_token", "decoder.mask_token"} <= kept
    for name in kept:
        assert any(part in name for part in ("token", "norm", "bias", "modality", "temperature"))
    assert all(p.ndim > 1 for p in decayed["params"])
