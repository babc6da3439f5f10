"""How far our figure is from theirs, and when that is far enough to be called different."""

import math
from typing import NamedTuple

import numpy as np

from tgdp.bench.parity.figures import Array


class Difference(NamedTuple):
    """Ours against theirs, for one check.

    Attributes:
        compared: Values compared: those that the file kept.
        total: Values there are.
        largest: Largest absolute difference; of masks and orders the number of unequal entries.
        relative: What is held against the tolerance.
        counted: Whether `largest` is a number of unequal entries.
        note: What else a reader has to know of it.
    """

    compared: int
    total: int
    largest: float
    relative: float
    counted: bool = False
    note: str = ""

    def within(self, tolerance: float) -> bool:
        """Say whether it counts as equal. A difference that is NaN does not."""
        return self.relative <= tolerance


def of_values(ours: Array, theirs: Array) -> Difference:
    """Return the difference of real numbers: max |ours - theirs| over max |theirs|.

    Where theirs is NaN the file has not kept it, and nothing is compared. A NaN of ours is a
    difference without bound.

    Args:
        ours: Any shape.
        theirs: The same shape.

    Raises:
        ValueError: The shapes differ, or nothing was kept.
    """
    kept = _kept(ours, theirs)
    mine, other = ours[kept].astype(np.float64), theirs[kept].astype(np.float64)
    largest = float(np.abs(mine - other).max())
    return Difference(mine.size, theirs.size, largest, ratio(largest, float(np.abs(other).max())))


def of_entries(ours: Array, theirs: Array) -> Difference:
    """Return the difference of masks or whole numbers: how many entries are unequal.

    One is too many, whatever the tolerance.

    Raises:
        ValueError: The shapes differ, or nothing was kept.
    """
    kept = _kept(ours, theirs)
    unequal = int((ours[kept] != theirs[kept]).sum())
    return Difference(
        int(kept.sum()), theirs.size, unequal, np.inf if unequal else 0.0, counted=True
    )


def of_orders(ours: Array, theirs: Array, merit: Array) -> Difference:
    """Return the difference of two orders by the same merit: how many places are unequal.

    Equal merits have no order, and rounding decides between nearly equal ones. So the relative
    difference is the largest gap in merit between what ours and theirs put in one place, over the
    largest merit: 0 where the orders are the same.

    Args:
        ours: (B, N) indices, best first.
        theirs: The same.
        merit: (B, N), of each index.

    Raises:
        ValueError: The shapes differ, or nothing was kept.
    """
    entries = of_entries(ours, theirs)
    if not entries.largest:
        return entries
    mine = np.take_along_axis(merit, ours, axis=1)
    other = np.take_along_axis(merit, theirs, axis=1)
    gap = ratio(float(np.abs(mine - other).max()), float(np.abs(merit).max()))
    note = f"the priorities in unequal places are {gap:.1e} apart"
    return entries._replace(relative=gap, note=note)


def ratio(difference: float, scale: float) -> float:
    """Return difference over scale, and inf where that is no number; 0 if nothing differs."""
    if difference == 0:
        return 0.0
    found = difference / scale if scale else math.inf
    return math.inf if math.isnan(found) else found


def _kept(ours: Array, theirs: Array) -> Array:
    if ours.shape != theirs.shape:
        raise ValueError(f"shape {theirs.shape} in the file, {ours.shape} of ours")
    kept = ~np.isnan(theirs)
    if not kept.any():
        raise ValueError("not one value was kept")
    return kept
