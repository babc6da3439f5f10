"""One training step's forward side: draw the masks, run the passes, weigh the losses."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor

from tgdp.config import Config
from tgdp.data import draws
from tgdp.losses.objective import Losses, Reconstruction, objective
from tgdp.model.dual_path import Inputs, Noise, Outputs, Student, forward, temperature
from tgdp.model.encoder import Encoder
from tgdp.model.schedules import Moment
from tgdp.model.tokens import as_picture, patchify


class Batch(NamedTuple):
    """Pairs on the device, ready for the model.

    Attributes:
        audio: Normalised log-mel segments.
        image: Normalised pictures.
        samples: Index of each clip in its split.
        moment: Where in the run the step stands.
    """

    audio: Float[Tensor, "B T F"]
    image: Float[Tensor, "B 3 H W"]
    samples: Int[Tensor, " B"]
    moment: Moment


def compute_losses(
    config: Config,
    student: Student,
    teacher: Encoder | None,
    batch: Batch,
    noise: Noise | None = None,
) -> Losses:
    """Return the losses of one step (method section 3).

    Args:
        config: The run.
        student: Trained.
        teacher: Its slow copy, or None.
        batch: Pairs.
        noise: Where the random numbers of the masks come from; from seed, epoch and sample if None.
    """

    def drawn(purpose: str, num: int) -> Tensor:
        return draws.uniform(config.seed, purpose, batch.moment.epoch, batch.samples, num)

    inputs = Inputs(batch.audio, batch.image, batch.moment)
    return weigh(config, student, inputs, forward(config, student, teacher, inputs, noise or drawn))


def weigh(config: Config, student: Student, inputs: Inputs, outputs: Outputs) -> Losses:
    """Return the losses of what a forward side computed.

    Args:
        config: The run.
        student: Whose temperature applies.
        inputs: Segments and pictures, the targets of the reconstruction.
        outputs: What `forward` returned for them.
    """
    predicted, hidden = outputs.predicted, outputs.hidden
    reconstruction = None
    if predicted is not None and hidden is not None:
        sound = patchify(as_picture(inputs.audio), config.model.audio_patch)
        sight = patchify(inputs.image, config.model.image_patch)
        reconstruction = (
            Reconstruction(predicted.audio, sound, hidden.audio.masked),
            Reconstruction(predicted.image, sight, hidden.image.masked),
        )
    return objective(
        config,
        reconstruction,
        outputs.vectors,
        outputs.teacher.vectors,
        temperature(config, student),
    )
