"""One step's forward side, part by part, so that two configurations can be told apart."""

import zlib
from typing import Any

import torch
from torch import Tensor

from tgdp import presets
from tgdp.config import Config, override
from tgdp.data import draws
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Inputs, Outputs, Student, forward
from tgdp.model.encoder import Encoder
from tgdp.model.schedules import Moment
from tgdp.model.teacher import build_teacher
from tgdp.training.step import weigh

MIDDLE = Moment(step=5, total_steps=11, epoch=1)

HIDDEN = {"hidden.audio", "hidden.image"}
PREDICTED = {"predicted.audio", "predicted.image"}
RECONSTRUCTION = {"reconstruction_audio", "reconstruction_image", "total"}
VISIBLE = {"visible.audio", "visible.image"}
VECTORS = {"vectors.audio", "vectors.image"}
TEACHER = {"teacher.vectors.audio", "teacher.vectors.image"}
PRIORITY = {"priority.audio", "priority.image"}
CONTRAST = {"contrastive", "distillation", "total"}
EVERYTHING = HIDDEN | PREDICTED | RECONSTRUCTION | VISIBLE | VECTORS | TEACHER | PRIORITY | CONTRAST

BASE = override(
    presets.tiny(),
    {
        "data.image_size": 32,
        "data.segment_steps": 64,
        "model.width": 16,
        "model.modality_layers": 1,
        "model.joint_layers": 2,
        "model.num_registers": 4,
        "model.decoder.width": 16,
        "contrastive.mask.selection": "guided",
        "teacher.enabled": True,
        "distillation.weight": 1.0,
    },
)
"""Every part of the method at work."""

RANDOM = {"contrastive.mask.selection": "random"}


def with_changes(*changes: dict[str, Any]) -> Config:
    """Return the base with changes on top of each other."""
    config = BASE
    for change in changes:
        config = override(config, change)
    return config


def parts(config: Config, moment: Moment = MIDDLE) -> dict[str, Tensor | None]:
    """Return what a forward side computes and the losses of it, by name; None where left out.

    Weights depend on the names of the parameters alone, so that configurations share all that they
    have in common.
    """
    outputs, losses = step(config, moment)
    masks = {"hidden": outputs.hidden, "visible": outputs.visible}
    pairs: dict[str, Any] = {
        "predicted": outputs.predicted,
        "vectors": outputs.vectors,
        "teacher.vectors": outputs.teacher.vectors,
        "priority": outputs.teacher.priority,
        **{name: mask and tuple(one.masked for one in mask) for name, mask in masks.items()},
    }
    named = {
        f"{name}.{modality}": None if pair is None else pair[index]
        for name, pair in pairs.items()
        for index, modality in enumerate(("audio", "image"))
    }
    # The accuracy says no more than the contrastive loss, and is too coarse to tell a change by.
    return named | {k: v for k, v in losses._asdict().items() if k != "contrastive_accuracy"}


def step(config: Config, moment: Moment = MIDDLE) -> tuple[Outputs, Losses]:
    """Return outputs and losses of a forward side with fixed weights and inputs."""
    student, teacher = learners(config)
    pair = inputs(config, moment)

    def noise(purpose: str, num: int) -> Tensor:
        return draws.uniform(config.seed, purpose, moment.epoch, torch.arange(len(pair.audio)), num)

    with torch.no_grad():
        outputs = forward(config, student, teacher, pair, noise)
        return outputs, weigh(config, student, pair, outputs)


def learners(config: Config) -> tuple[Student, Encoder | None]:
    """Return a student and a teacher of other weights, if there is to be one."""
    student = Student(config)
    teacher = build_teacher(student.encoder) if config.teacher.enabled else None
    _fill(student.encoder, "student")
    _fill(student.decoder, "decoder")
    if teacher is not None:
        _fill(teacher, "teacher")
    return student, teacher


def inputs(config: Config, moment: Moment = MIDDLE, batch: int = 5) -> Inputs:
    """Return noise as segments and pictures."""
    generator = torch.Generator().manual_seed(0)
    side = config.data.image_size
    image = torch.randn(batch, 3, side, side, generator=generator)
    audio = torch.randn(batch, config.data.audio_steps, 128, generator=generator)
    return Inputs(audio, image, moment)


def _fill(module: torch.nn.Module, salt: str) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(f"{salt}/{name}".encode()))
            middle = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(middle + 0.2 * torch.randn(parameter.shape, generator=generator))
