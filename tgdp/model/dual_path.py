"""One forward side of a training step, whatever the switches (method section 3)."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import Config
from tgdp.model import masking
from tgdp.model.decoder import Decoder
from tgdp.model.encoder import Encoder, Pair
from tgdp.model.passes import Selections, branch_tokens, contrast, reconstruct
from tgdp.model.schedules import Moment, is_guided, mask_ratios
from tgdp.model.selection import num_draws, select
from tgdp.model.teacher import TeacherView, teacher_pass
from tgdp.model.tokens import grids

Noise = Callable[[str, int], Float[Tensor, "B num"]]
"""Purpose and how many numbers a sample -> uniform numbers in [0, 1)."""

Path = Literal["reconstruction", "contrastive"]

LOWEST_TEMPERATURE = 0.01
"""Of a learned one: CLIP's bound on the scale, 100."""

UNSEEN = TeacherView(None, None)
"""What the teacher says where there is none, or where nothing of it is needed."""


class Student(nn.Module):
    """What is trained: the encoder, and the decoder that only pre-training needs.

    Args:
        config: Sizes of the model and of its inputs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        start = torch.tensor(config.contrastive.temperature).log()
        learned = config.contrastive.learned_temperature
        self.log_temperature = nn.Parameter(start) if learned else None

    @torch.no_grad()
    def hold_temperature(self) -> None:
        """Put a learned temperature back to its bound; called after each update.

        The parameter is held, not its value: what is cut off later passes no gradient, and so would
        never leave the bound again.
        """
        if self.log_temperature is not None:
            self.log_temperature.clamp_min_(math.log(LOWEST_TEMPERATURE))


class Outputs(NamedTuple):
    """What one forward side computed; None where the configuration leaves a part out.

    Attributes:
        predicted: Pixels of every patch, (B, N, P) each, from what `hidden` left visible.
        hidden: Masks of the reconstruction.
        vectors: Global vectors, (B, D) each, of what `visible` left visible.
        visible: Masks of the contrastive path; with a single pass the same as `hidden`.
        teacher: What the teacher said of the full view.
    """

    predicted: Pair | None
    hidden: Selections | None
    vectors: Pair | None
    visible: Selections | None
    teacher: TeacherView


class Inputs(NamedTuple):
    """A batch as the model reads it, and where in the run it stands."""

    audio: Float[Tensor, "B T F"]
    image: Float[Tensor, "B 3 H W"]
    moment: Moment


def forward(
    config: Config, student: Student, teacher: Encoder | None, inputs: Inputs, noise: Noise
) -> Outputs:
    """Return everything that the losses of one step are made of.

    Args:
        config: The run.
        student: Trained.
        teacher: Its slow copy, or None.
        inputs: Segments and pictures.
        noise: Where the random numbers of the masks come from.

    Source: TG-DP section 3; released lines 669 to 756. Upstream: the masks of the second pass are
    returned beside the reconstructions of the first.
    """
    encoder, decoder = student.encoder, student.decoder
    patches = encoder.embed(inputs.audio, inputs.image)
    hidden = predicted = vectors = visible = branches = None
    if config.reconstructs:
        hidden = _random(config, "reconstruction", inputs, noise)
        both = config.contrasts and config.passes == "single"
        branches = branch_tokens(encoder, patches, hidden, with_cls=both)
        predicted = reconstruct(encoder, decoder, branches, hidden)
    view = _look(config, teacher, inputs)
    if config.contrasts and config.passes == "dual":
        visible = _contrastive_selection(config, view, inputs, noise)
        vectors = contrast(encoder, branch_tokens(encoder, patches, visible))
    elif config.contrasts:
        visible = hidden or _random(config, "reconstruction", inputs, noise)
        branches = branches or branch_tokens(encoder, patches, visible)
        vectors = contrast(encoder, branches)
    return Outputs(predicted, hidden, vectors, visible, view)


def temperature(config: Config, student: Student) -> Float[Tensor, ""] | float:
    """Return what divides the cosines: the configured number, or the learned one.

    Source: fixed at 0.05 in the released code; the learned form and its bound are CLIP's.
    """
    if student.log_temperature is None:
        return config.contrastive.temperature
    return student.log_temperature.exp()


def _look(config: Config, teacher: Encoder | None, inputs: Inputs) -> TeacherView:
    guides = config.contrasts and is_guided(config.contrastive.mask, inputs.moment)
    if teacher is None or not (guides or config.distills):
        return UNSEEN
    direction = config.contrastive.mask.attention if guides else None
    return teacher_pass(
        teacher, inputs.audio, inputs.image, direction, with_vectors=config.distills
    )


def _contrastive_selection(
    config: Config, view: TeacherView, inputs: Inputs, noise: Noise
) -> Selections:
    mask = config.contrastive.mask
    if view.priority is None or mask.selection == "random":
        return _random(config, "contrastive", inputs, noise)
    ratios = mask_ratios(mask, inputs.moment, config.seed, "contrastive")
    return Selections(
        *(
            select(
                mask.selection,
                priority,
                noise(
                    f"mask/contrastive/{modality}",
                    num_draws(mask.selection, priority.shape[1], mask.guided_share),
                ),
                ratio,
                mask.guided_share,
            )
            for modality, priority, ratio in zip(
                view.priority._fields, view.priority, ratios, strict=True
            )
        )
    )


def _random(config: Config, path: Path, inputs: Inputs, noise: Noise) -> Selections:
    mask = config.reconstruction.mask if path == "reconstruction" else config.contrastive.mask
    audio, image = grids(config)
    ratios = mask_ratios(mask, inputs.moment, config.seed, path)
    structure = mask.audio_structure
    sound = noise(f"mask/{path}/audio", masking.num_draws(audio, structure))
    sight = noise(f"mask/{path}/image", image.num_patches)
    return Selections(
        masking.structured(sound, ratios.audio, audio, structure)
        if structure != "none"
        else masking.random(sound, ratios.audio),
        masking.random(sight, ratios.image),
    )
