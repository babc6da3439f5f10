"""What a run's decoder makes of hidden patches, as pictures: input, prediction, composite."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.evaluation.picture_arrays import (
    FilledIn,
    Pixels,
    ReconstructedClip,
    Reconstructions,
    Spectrogram,
)
from tgdp.evaluation.picture_clips import Wish, as_frames, as_sounds, choose, noise_for
from tgdp.evaluation.stored import Stored
from tgdp.losses.reconstruction import reconstruction_loss
from tgdp.model.dual_path import Inputs, forward
from tgdp.model.schedules import Moment
from tgdp.model.tokens import Grid, as_picture, grids, patchify, unpatchify

VARIANCE_FLOOR = 1e-6
"""Added to a patch's variance before its root is taken, as in the loss."""


class Filled(NamedTuple):
    """Patches of one modality, (B, N, P), in the units of the model's input."""

    predicted: Tensor
    composite: Tensor


class _Part(NamedTuple):
    """One modality: its true patches, how they lie, and how they become what people see."""

    target: Tensor
    grid: Grid
    patch: int
    show: Callable[[Tensor], Sequence[Pixels | Spectrogram]]


def reconstructions(stored: Stored, wish: Wish) -> Reconstructions:
    """Return some clips with what the model makes of them at the end of its mask schedule.

    The masks come from the run's seed and the clip, so the same command shows the same patches.

    Args:
        stored: The run, on the CPU.
        wish: Which clips.

    Raises:
        UserError: The run reconstructs nothing, the data cannot be read, or a clip is not there.
    """
    config, chosen = stored.config, choose(stored, wish)
    inputs = Inputs(chosen.audio, chosen.image, Moment(stored.step, stored.step, 0))
    noise = noise_for(config.seed, chosen.shown)
    with torch.no_grad():
        # What is reconstructed does not depend on the teacher.
        outputs = forward(config, stored.student, None, inputs, noise)
    if outputs.predicted is None or outputs.hidden is None:
        raise UserError(
            "this run reconstructs nothing (reconstruction.weight is 0); "
            "look at what it attends to: tgdp-report priorities"
        )
    sight, sound = _parts(config, inputs)
    norm, hidden = config.reconstruction.pixel_norm, outputs.hidden
    images = _filled(sight, outputs.predicted.image, hidden.image.masked, pixel_norm=norm)
    sounds = _filled(sound, outputs.predicted.audio, hidden.audio.masked, pixel_norm=norm)
    clips = map(ReconstructedClip, chosen.shown, images, sounds)
    return Reconstructions(chosen.source, tuple(clips), norm)


def fill_in(
    predicted: Float[Tensor, "B N P"],
    target: Float[Tensor, "B N P"],
    masked: Bool[Tensor, "B N"],
    *,
    pixel_norm: bool,
) -> Filled:
    """Return the prediction in the units of the input, and the input with its gaps filled.

    Args:
        predicted: What the decoder said of every patch.
        target: The true patches.
        masked: True where a patch was hidden.
        pixel_norm: The prediction is of normalised patches; it gets each true patch's mean and
            standard deviation, which the model itself never sees.

    Source: MAE's demonstration pictures; ours for the spectrogram.
    """
    if pixel_norm:
        mean, variance = target.mean(dim=-1, keepdim=True), target.var(dim=-1, keepdim=True)
        predicted = predicted * (variance + VARIANCE_FLOOR).sqrt() + mean
    return Filled(predicted, torch.where(masked[..., None], predicted, target))


def _parts(config: Config, inputs: Inputs) -> tuple[_Part, _Part]:
    model, grid = config.model, grids(config)
    sight = patchify(inputs.image, model.image_patch)
    sound = patchify(as_picture(inputs.audio), model.audio_patch)
    return (
        _Part(sight, grid.image, model.image_patch, as_frames),
        _Part(sound, grid.audio, model.audio_patch, lambda audio: as_sounds(audio, config.data)),
    )


def _filled(part: _Part, predicted: Tensor, masked: Tensor, *, pixel_norm: bool) -> list[FilledIn]:
    filled = fill_in(predicted, part.target, masked, pixel_norm=pixel_norm)
    shown = (part.show(unpatchify(patches, part.grid, part.patch)) for patches in filled)
    errors = [
        float(reconstruction_loss(*(x[None] for x in clip), pixel_norm=pixel_norm))
        for clip in zip(predicted, part.target, masked, strict=True)
    ]
    cells = masked.unflatten(1, tuple(part.grid)).numpy()
    return [FilledIn(*one) for one in zip(*shown, cells, errors, strict=True)]
