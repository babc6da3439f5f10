"""The three passes of a training step: reconstruction, teacher, contrastive (method section 3)."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.config import Config
from tgdp.model import masking
from tgdp.model.blocks import Direction
from tgdp.model.decoder import Decoder
from tgdp.model.encoder import Encoder, Pair
from tgdp.model.masking import Selection


class Student(nn.Module):
    """What is trained: the encoder, and the decoder that only pre-training needs.

    Args:
        config: Sizes of the model and of its inputs.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)


class Selections(NamedTuple):
    """What stays visible in one pass."""

    audio: Selection
    image: Selection


class TeacherView(NamedTuple):
    """What the teacher says of a full view.

    Attributes:
        vectors: Global vectors, (B, D) each.
        priority: One number a patch, (B, N) each; higher is more worth seeing.
    """

    vectors: Pair
    priority: Pair


def reconstruction_pass(student: Student, patches: Pair, visible: Selections) -> Pair:
    """Return the predicted pixels of every patch, (B, N, P) for each modality.

    Source: TG-DP section 3.1. Upstream: the contrastive streams are computed as well and dropped.
    """
    joint = student.encoder.joint_patches(_branches(student.encoder, patches, visible))
    return student.decoder(joint, visible.audio, visible.image)


def contrastive_pass(encoder: Encoder, patches: Pair, visible: Selections) -> Pair:
    """Return the global vectors of what is visible, (B, D) for each modality.

    Source: TG-DP section 3.3. Upstream: the joint patch stream is computed as well and dropped.
    """
    branches = _branches(encoder, patches, visible)
    return Pair(
        encoder.global_vector(branches.audio, "audio"),
        encoder.global_vector(branches.image, "image"),
    )


@torch.no_grad()
def teacher_pass(
    teacher: Encoder,
    audio: Float[Tensor, "B T F"],
    image: Float[Tensor, "B 3 H W"],
    direction: Direction,
) -> TeacherView:
    """Return the teacher's global vectors and the priority of every patch, in natural order.

    Source: TG-DP section 3.2. Upstream: the teacher's tokens are shuffled and the ranks refer to
    the shuffled order, which makes guided masking random; gradients are tracked.
    """
    patches = teacher.embed(audio, image)
    audio_vector, audio_priority = teacher.ranked_vector(
        teacher.audio(patches.audio), "audio", direction
    )
    image_vector, image_priority = teacher.ranked_vector(
        teacher.image(patches.image), "image", direction
    )
    return TeacherView(Pair(audio_vector, image_vector), Pair(audio_priority, image_priority))


def _branches(encoder: Encoder, patches: Pair, visible: Selections) -> Pair:
    return Pair(
        encoder.audio(masking.gather(patches.audio, visible.audio.ids_keep)),
        encoder.image(masking.gather(patches.image, visible.image.ids_keep)),
    )
