"""What the schedules of a run have set for a step, for the events; and the teacher's momentum."""

import torch
from torch import Tensor

from tgdp.config import Config
from tgdp.model.dual_path import Student, temperature
from tgdp.model.schedules import Moment, mask_ratios, momentum


def in_force(config: Config, student: Student, moment: Moment) -> dict[str, Tensor | float]:
    """Return mask ratios and temperature where they change during the run, and the momentum.

    Args:
        config: The run.
        student: Holds the learned temperature, if there is one.
        moment: The step.
    """
    found: dict[str, Tensor | float] = {}
    for path, mask in (
        ("reconstruction", config.reconstruction.mask),
        ("contrastive", config.contrastive.mask),
    ):
        if mask.schedule != "constant":
            drawn = path if config.passes == "dual" else "reconstruction"  # one mask for both
            ratios = mask_ratios(mask, moment, config.seed, drawn)
            found[f"train/mask_ratio/{path}_audio"] = ratios.audio
            found[f"train/mask_ratio/{path}_visual"] = ratios.image
    if config.teacher.enabled:
        found["train/teacher_momentum"] = momentum(config.teacher, moment)
    if config.contrastive.learned_temperature:
        with torch.no_grad():
            found["train/temperature"] = temperature(config, student)
    return found
