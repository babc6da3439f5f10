"""How far the student's global vectors are from the teacher's."""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Form = Literal["squared_l2_sum", "squared_l2_mean", "cosine"]


def distillation_loss(
    student: Float[Tensor, "B D"],
    teacher: Float[Tensor, "B D"],
    form: Form = "squared_l2_sum",
    *,
    normalize: bool = True,
) -> Float[Tensor, ""]:
    """Return the distance of the vectors, mean over the batch.

    Args:
        student: Global vectors of one modality.
        teacher: The teacher's, for the same inputs; no gradient reaches them.
        form: Squared L2, summed or averaged over the width, or one minus the cosine.
        normalize: Vectors are scaled to length 1 first; the cosine does so by itself.

    Source: TG-DP section 3.4 names squared L2; sum or mean, and whether the vectors are normalised,
    is published nowhere. The cosine is ours.
    """
    ours, target = student.float(), teacher.detach().float()
    if form == "cosine":
        return (1 - F.cosine_similarity(ours, target, dim=-1)).mean()
    if normalize:
        ours, target = F.normalize(ours, dim=-1), F.normalize(target, dim=-1)
    error = (ours - target).square()
    return (error.sum(dim=-1) if form == "squared_l2_sum" else error.mean(dim=-1)).mean()
