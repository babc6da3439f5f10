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
    """One step's losses, each before its weight but the total; and the contrastive accuracy.

    A part is None where the configuration gives it no weight, so that it was not computed.
    """

    total: Float[Tensor, ""]
    reconstruction_audio: Float[Tensor, ""] | None = None
    reconstruction_image: Float[Tensor, ""] | None = None
    contrastive: Float[Tensor, ""] | None = None
    distillation: Float[Tensor, ""] | None = None
    contrastive_accuracy: Float[Tensor, ""] | None = None


class Reconstruction(NamedTuple):
    """Predicted and true pixels of one modality's patches, and which were hidden."""

    predicted: Float[Tensor, "B N P"]
    target: Float[Tensor, "B N P"]
    masked: Bool[Tensor, "B N"]


def objective(
    config: Config,
    reconstruction: tuple[Reconstruction, Reconstruction] | None,
    student: Vectors | None,
    teacher: Vectors | None,
    temperature: Float[Tensor, ""] | float,
) -> Losses:
    """Return the total loss of a step and its parts (method section 3).

    Args:
        config: Weights and forms.
        reconstruction: Audio, then image; None where nothing was reconstructed.
        student: Global vectors of the contrastive path, audio then image; None if none.
        teacher: The teacher's for the same clips; None where nothing is distilled.
        temperature: Of the contrastive loss.

    Source: TG-DP section 3; released lines 702 to 740. Upstream: a reconstruction weight of 0
    crashes in the line after them.
    """
    audio = image = contrast = accuracy = distilled = None
    terms: list[Tensor] = []
    if reconstruction is not None:
        part = config.reconstruction
        audio, image = (
            reconstruction_loss(*one, pixel_norm=part.pixel_norm) for one in reconstruction
        )
        terms.append(part.weight * (part.audio_weight * audio + part.image_weight * image))
    if student is not None and config.contrastive.weight > 0:
        contrast, accuracy = contrastive_loss(
            *student,
            temperature,
            two_way=config.contrastive.directions == "two_way",
            gathered=config.contrastive.negatives == "gathered",
        )
        terms.append(config.contrastive.weight * contrast)
    if student is not None and teacher is not None:
        distilled = _distillation(config, student, teacher)
        terms.append(config.distillation.weight * distilled)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return Losses(total, audio, image, contrast, distilled, accuracy)


def _distillation(config: Config, student: Vectors, teacher: Vectors) -> Tensor:
    sound, sight = (
        distillation_loss(
            ours, theirs, config.distillation.form, normalize=config.distillation.normalize
        )
        for ours, theirs in zip(student, teacher, strict=True)
    )
    return sound + sight
