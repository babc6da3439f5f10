"""One training step's forward side: draw the masks, run the passes, weigh the losses."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tgdp.config import Config
from tgdp.data import draws
from tgdp.losses.objective import Losses, Reconstruction, objective
from tgdp.model import masking
from tgdp.model.dual_path import (
    Selections,
    Student,
    TeacherView,
    contrastive_pass,
    reconstruction_pass,
    teacher_pass,
)
from tgdp.model.encoder import Encoder, Pair
from tgdp.model.tokens import as_picture, grids, patchify


class Batch(NamedTuple):
    """Pairs on the device, ready for the model.

    Attributes:
        audio: Normalised log-mel segments.
        image: Normalised pictures.
        samples: Index of each clip in its split.
        epoch: Pass over the data.
    """

    audio: Float[Tensor, "B T F"]
    image: Float[Tensor, "B 3 H W"]
    samples: Int[Tensor, " B"]
    epoch: int


def compute_losses(
    config: Config, student: Student, teacher: Encoder | None, batch: Batch
) -> Losses:
    """Return the losses of one step (method section 3).

    Args:
        config: The run.
        student: Trained.
        teacher: Its slow copy, or None.
        batch: Pairs.
    """
    view = None
    if teacher is not None:
        view = teacher_pass(teacher, batch.audio, batch.image, config.contrastive.mask.attention)
    patches = student.encoder.embed(batch.audio, batch.image)
    hidden = _random(config, batch, "reconstruction", config.reconstruction.mask.ratio)
    predicted = reconstruction_pass(student, patches, hidden)
    visible = _contrastive_selection(config, batch, view)
    vectors = contrastive_pass(student.encoder, patches, visible)
    targets = _targets(config, batch)
    return objective(
        config,
        (
            Reconstruction(predicted.audio, targets.audio, hidden.audio.masked),
            Reconstruction(predicted.image, targets.image, hidden.image.masked),
        ),
        vectors,
        None if view is None else view.vectors,
    )


def _targets(config: Config, batch: Batch) -> Pair:
    return Pair(
        patchify(as_picture(batch.audio), config.model.audio_patch),
        patchify(batch.image, config.model.image_patch),
    )


def _contrastive_selection(config: Config, batch: Batch, view: TeacherView | None) -> Selections:
    mask = config.contrastive.mask
    if mask.selection == "random":
        return _random(config, batch, "contrastive", mask.ratio)
    if view is None:
        raise ValueError("guided selection without a teacher: the configuration refuses this")
    return Selections(*(masking.guided(priority, mask.ratio) for priority in view.priority))


def _random(config: Config, batch: Batch, path: str, ratio: float) -> Selections:
    return Selections(
        *(
            masking.random(
                draws.uniform(
                    config.seed,
                    f"mask/{path}/{modality}",
                    batch.epoch,
                    batch.samples,
                    grid.num_patches,
                ),
                ratio,
            )
            for modality, grid in grids(config)._asdict().items()
        )
    )


def autocast(config: Config, device: torch.device) -> torch.autocast:
    """Return the precision context of a run: bfloat16 where asked for, else nothing changes."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=config.training.precision == "bfloat16"
    )
