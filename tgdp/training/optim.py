"""The optimiser and its learning rate."""

import math

import torch
from torch import nn

from tgdp.config import TrainingConfig

NO_DECAY = ("token", "modality", "norm", "bias", "temperature")
"""Parts of a parameter's name that keep weight decay off it, as in MAE."""


def build_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimiser over every trainable parameter.

    Args:
        model: Its norms, biases and tokens are not decayed.
        training: Kind, rate, betas, decay.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in named if not _is_undecayed(name)]
    rest = [p for name, p in named if _is_undecayed(name)]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    return kind(
        [
            {"params": decayed, "weight_decay": training.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=training.learning_rate,
        betas=(training.beta1, training.beta2),
        fused=True,
    )


def learning_rate(training: TrainingConfig, step: int, total_steps: int) -> float:
    """Return the rate of a step: a linear rise, then a cosine to zero or no change.

    Args:
        training: Peak rate, share of the warm-up, schedule.
        step: Steps taken so far, from 0.
        total_steps: Length of the run.
    """
    warmup = round(training.warmup * total_steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    if training.schedule == "constant":
        return training.learning_rate
    progress = (step - warmup) / max(1, total_steps - warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use a rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _is_undecayed(name: str) -> bool:
    return any(part in name for part in NO_DECAY)
