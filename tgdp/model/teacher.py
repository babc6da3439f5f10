"""The EMA teacher: a slow copy of the student's encoder that sees all (method section 3.2)."""

import copy
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tgdp.model.blocks import Direction
from tgdp.model.encoder import Encoder, Pair


class TeacherView(NamedTuple):
    """What the teacher says of a full view.

    Attributes:
        vectors: Global vectors, (B, D) each; None where they were not asked for.
        priority: One number a patch, (B, N) each, natural order; higher is more worth seeing.
            None where it was not asked for.
    """

    vectors: Pair | None
    priority: Pair | None


def build_teacher(student: Encoder) -> Encoder:
    """Return a copy of the student's encoder that no gradient reaches.

    Source: TG-DP section 3.2. The decoder is not copied: the teacher reconstructs nothing.
    """
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def teacher_pass(
    teacher: Encoder,
    audio: Float[Tensor, "B T F"],
    image: Float[Tensor, "B 3 H W"],
    direction: Direction | None = None,
    *,
    with_vectors: bool = True,
) -> TeacherView:
    """Return the teacher's global vectors and the priority of every patch, in natural order.

    Args:
        teacher: The slow copy.
        audio: Segments.
        image: Pictures.
        direction: Attention that ranks the patches; None where no ranking is needed.
        with_vectors: Whether the global vectors are needed, as distillation does.

    Source: TG-DP section 3.2; released lines 482 to 489 and 672 to 679. Upstream: the tokens are
    shuffled and the ranks refer to the shuffled order, which makes guided masking random; gradients
    are tracked; the joint patch stream is computed and dropped; vectors are taken before the
    contrastive heads, ours after.
    """
    if direction is None and not with_vectors:
        return TeacherView(None, None)
    patches = teacher.embed(audio, image)
    branches = Pair(teacher.audio(patches.audio), teacher.image(patches.image))
    if direction is None:
        vectors = Pair(
            teacher.vector(branches.audio, "audio"), teacher.vector(branches.image, "image")
        )
        return TeacherView(vectors, None)
    sound, sound_priority = teacher.priority(
        branches.audio, "audio", direction, with_vector=with_vectors
    )
    sight, sight_priority = teacher.priority(
        branches.image, "image", direction, with_vector=with_vectors
    )
    vectors = None if sound is None or sight is None else Pair(sound, sight)
    return TeacherView(vectors, Pair(sound_priority, sight_priority))


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher towards the student: `teacher = m * teacher + (1 - m) * student`.

    Args:
        teacher: Changed in place.
        student: Same structure.
        momentum: m, in [0, 1].

    Source: TG-DP section 3.2; the momentum is published nowhere.
    """
    targets: list[Tensor] = list(teacher.parameters())
    sources: list[Tensor] = list(student.parameters())
    # One fused call for all parameters; torch has no public name for it.
    torch._foreach_lerp_(targets, sources, 1 - momentum)  # pyright: ignore[reportPrivateImportUsage]
