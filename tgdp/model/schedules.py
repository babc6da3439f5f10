"""What changes as training goes on: mask ratios, the teacher's momentum, when guidance sets in."""

import math
from typing import NamedTuple

import torch

from tgdp.config import ContrastiveMask, MaskConfig, TeacherConfig
from tgdp.data import draws


class Moment(NamedTuple):
    """Where in a run a step stands.

    Attributes:
        step: Steps taken before this one.
        total_steps: Length of the run.
        epoch: Passes over the data completed.
    """

    step: int
    total_steps: int
    epoch: int

    @property
    def progress(self) -> float:
        """Share of the run that has passed: 0 at the first step, 1 at the last."""
        return min(1.0, self.step / max(1, self.total_steps - 1))


class Ratios(NamedTuple):
    """Share of the patches hidden of each modality."""

    audio: float
    image: float


def mask_ratios(mask: MaskConfig, moment: Moment, seed: int, path: str) -> Ratios:
    """Return the ratios of one pass at one step.

    Args:
        mask: Final ratios and how they are reached.
        moment: The step.
        seed: Seed of the run.
        path: Name of the pass; each has draws of its own.

    Source: constant: TG-DP; a curriculum is named there as future work; uniform: CAV-MAE Sync's
    released lines 681 to 695. Upstream: on one device the generator is seeded with 0 at every
    step, so that the random ratio is a constant. Here it depends on seed and step alone, and is
    thereby the same on every rank.
    """
    return Ratios(
        _ratio(mask, mask.final("audio"), moment, seed, f"ratio/{path}/audio"),
        _ratio(mask, mask.final("image"), moment, seed, f"ratio/{path}/image"),
    )


def _ratio(mask: MaskConfig, final: float, moment: Moment, seed: int, purpose: str) -> float:
    if mask.from_ratio is None:
        return final
    way = {
        "constant": lambda: 1.0,
        "linear": lambda: moment.progress,
        "cosine": lambda: (1 - math.cos(math.pi * moment.progress)) / 2,
        "uniform": lambda: draws.uniform(seed, purpose, moment.step, torch.tensor([0]), 1).item(),
    }[mask.schedule]()
    between = (1 - way) * mask.from_ratio + way * final
    # Rounding must not leave the range that the configuration was checked for.
    return min(max(between, min(mask.from_ratio, final)), max(mask.from_ratio, final))


def momentum(teacher: TeacherConfig, moment: Moment) -> float:
    """Return the teacher's momentum at a step: constant, or on a half cosine up to 1.

    Source: published nowhere; the cosine is that of BYOL and DINO.
    """
    if teacher.momentum_schedule == "constant":
        return teacher.momentum
    return 1 - (1 - teacher.momentum) * (1 + math.cos(math.pi * moment.progress)) / 2


def is_guided(mask: ContrastiveMask, moment: Moment) -> bool:
    """Say whether the teacher chooses at this step; in the warm-up chance does.

    Source: ours. The ranking of a young teacher is worth little, and following it feeds on itself.
    """
    if mask.selection == "random":
        return False
    return moment.step >= mask.warmup_steps and moment.epoch >= mask.warmup_epochs
