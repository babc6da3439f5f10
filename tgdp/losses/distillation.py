"""How far the student's global vectors are from the teacher's."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def distillation_loss(
    student: Float[Tensor, "B D"], teacher: Float[Tensor, "B D"]
) -> Float[Tensor, ""]:
    """Return the squared L2 distance of the normalised vectors, mean over the batch.

    Args:
        student: Global vectors of one modality.
        teacher: The teacher's, for the same inputs; no gradient reaches them.

    Source: TG-DP section 3.4 names squared L2; whether on normalised vectors is published nowhere.
    """
    target = F.normalize(teacher.detach().float(), dim=-1)
    return (F.normalize(student.float(), dim=-1) - target).square().sum(dim=-1).mean()
