"""How the pairs of a step are divided: into parts computed one after another, and among ranks.

Parts are cut first. So a part holds the same pairs whatever the number of ranks, and with them the
same negatives.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from tgdp.errors import UserError

Item = TypeVar("Item")


class Shares(NamedTuple):
    """One rank's pairs of a step.

    Attributes:
        sizes: Pairs of this rank in each part.
        pairs: Pairs of the step, of all ranks.
        world: Ranks.
    """

    sizes: tuple[int, ...]
    pairs: int
    world: int = 1

    def weights(self) -> tuple[float, ...]:
        """Return what the loss of each part counts for.

        A part's loss is a mean over the pairs of this rank in it, and data-parallel training takes
        the mean over the ranks: so multiplied, that is the mean over all pairs of the step.
        """
        return tuple(size * self.world / self.pairs for size in self.sizes)


def stretches(num: int, parts: int) -> tuple[slice, ...]:
    """Return consecutive stretches that differ in length by 1 at most, the longer ones first."""
    size, longer = divmod(num, parts)
    ends = [size * (part + 1) + min(part + 1, longer) for part in range(parts)]
    return tuple(slice(first, end) for first, end in zip([0, *ends], ends, strict=False))


def own_stretches(pairs: int, accumulation: int, rank: int, world: int) -> tuple[slice, ...]:
    """Return where the pairs of a rank stand in the step's batch, a stretch for each part.

    Args:
        pairs: Of the step.
        accumulation: Parts.
        rank: From 0.
        world: Ranks.

    Raises:
        UserError: Some rank would have no pair in some part.
    """
    if pairs // accumulation < world:
        raise UserError(
            f"training.batch_size: {pairs} pairs in {accumulation} part(s) "
            f"(training.accumulation) are too few for {world} ranks, which need one each; "
            "raise the batch or use fewer ranks"
        )
    found: list[slice] = []
    for part in stretches(pairs, accumulation):
        mine = stretches(part.stop - part.start, world)[rank]
        found.append(slice(part.start + mine.start, part.start + mine.stop))
    return tuple(found)


def whole(pairs: int, accumulation: int) -> Shares:
    """Return the shares of one rank that has all pairs."""
    parts = stretches(pairs, accumulation)
    return Shares(tuple(part.stop - part.start for part in parts), pairs)


def own_items(items: Sequence[Item], parts: Sequence[slice]) -> list[Item]:
    """Return the items of some stretches, one after another."""
    return [item for part in parts for item in items[part]]
