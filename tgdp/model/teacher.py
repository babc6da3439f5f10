"""The EMA teacher: a slow copy of the student's encoder that sees everything (method section 3.2)."""

import copy

import torch
from torch import nn

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
    targets = list(teacher.parameters())
    torch._foreach_lerp_(targets, list(student.parameters()), 1 - momentum)
