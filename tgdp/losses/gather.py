"""Vectors of all ranks in one tensor, gradients included."""

from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


class Gathered(NamedTuple):
    """Vectors to choose from.

    Attributes:
        vectors: Those of all ranks, rank by rank.
        first: Where those of this rank begin.
    """

    vectors: Float[Tensor, "M D"]
    first: int


class _Gather(torch.autograd.Function):
    """All ranks' vectors, of one size; torch's own function for it is on its way out."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> tuple[Tensor, ...]:
        """Return the vectors of each rank."""
        parts = [torch.empty_like(vectors) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, vectors.contiguous())
        return tuple(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return what the losses of all ranks say about this rank's vectors."""
        total = torch.stack(gradients)
        dist.all_reduce(total)
        return total[dist.get_rank()]


def own(vectors: Float[Tensor, "B D"]) -> Gathered:
    """Return the vectors of this rank alone."""
    return Gathered(vectors, 0)


def gather(vectors: Float[Tensor, "B D"]) -> Gathered:
    """Return the vectors of all ranks; without a process group those of this one.

    Gradients flow back to the rank that each vector came from, summed over the losses of all ranks;
    the mean over ranks that data-parallel training takes makes that the gradient of one joined
    batch. Batches may differ in size, but then each rank's loss must be multiplied by
    its size x ranks / all pairs for that to hold.

    Source: TG-DP section 3.3; released lines 571 to 582.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return own(vectors)
    mine = torch.tensor([len(vectors)], device=vectors.device)
    sizes = [torch.zeros_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, mine)
    counts = [int(size) for size in sizes]
    padding = vectors.new_zeros(max(counts) - len(vectors), vectors.shape[1])
    parts = _Gather.apply(torch.cat([vectors, padding]))
    kept = [part[:count] for part, count in zip(parts, counts, strict=True)]
    return Gathered(torch.cat(kept), sum(counts[: dist.get_rank()]))
