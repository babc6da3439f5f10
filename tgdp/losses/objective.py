"""The weighted sum that is minimised, with its parts."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from tgdp.config import Config
from tgdp.losses.contrastive import contrastive_loss
from tgdp.losses.distillation import distillation_loss
from tgdp.losses.reconstruction import reconstruction_loss

Vectors = tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]


class Losses(NamedTuple):
    """One step's losses, each before its weight but the total; and the contrastive accuracy."""

    total: Float[Tensor, ""]
    reconstruction_audio: Float[Tensor, ""]
    reconstruction_image: Float[Tensor, ""]
    contrastive: Float[Tensor, ""]
    distillation: Float[Tensor, ""]
    contrastive_accuracy: Float[Tensor, ""]


class Reconstruction(NamedTuple):
    """Predicted and true pixels of one modality's patches, and which were hidden."""

    predicted: Float[Tensor, "B N P"]
    target: Float[Tensor, "B N P"]
    masked: Bool[Tensor, "B N"]


def objective(
    config: Config,
    reconstruction: tuple[Reconstruction, Reconstruction],
    student: Vectors,
    teacher: Vectors | None,
) -> Losses:
    """Return the total loss of a step and its parts (method section 3).

    Args:
        config: Weights, temperature, pixel norm.
        reconstruction: Audio, then image.
        student: Global vectors of the contrastive pass, audio then image.
        teacher: The teacher's for the same clips; None where there is no teacher.
    """
    audio, image = (
        reconstruction_loss(*part, pixel_norm=config.reconstruction.pixel_norm)
        for part in reconstruction
    )
    contrastive, accuracy = contrastive_loss(*student, config.contrastive.temperature)
    distillation = contrastive.new_zeros(())
    if teacher is not None:
        distillation = sum(
            (distillation_loss(s, t) for s, t in zip(student, teacher, strict=True)), distillation
        )
    total = (
        config.reconstruction.weight * (audio + image)
        + config.contrastive.weight * contrastive
        + config.distillation.weight * distillation
    )
    return Losses(total, audio, image, contrastive, distillation, accuracy)
