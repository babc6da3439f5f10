"""The EMA teacher: a slow copy of the student's encoder that sees all (method section 3.2)."""

import copy

import torch
from torch import Tensor, nn

from tgdp.model.encoder import Encoder


def build_teacher(student: Encoder) -> Encoder:
    """Return a copy of the student's encoder that no gradient reaches.

    Source: TG-DP section 3.2. The decoder is not copied: the teacher reconstructs nothing.
    """
    return copy.deepcopy(student).requires_grad_(False).eval()


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
