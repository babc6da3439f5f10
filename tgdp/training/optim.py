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


def scaled(training: TrainingConfig, pairs: int) -> TrainingConfig:
    """Return the same with the rate in proportion to the batch, where that is asked for.

    Args:
        training: Rate, and the batch that it is meant for.
        pairs: Pairs of a step, of all ranks and parts.

    Source: the linear rule of Goyal et al. (2017), as MAE uses it.
    """
    if training.learning_rate_batch is None:
        return training
    rate = training.learning_rate * pairs / training.learning_rate_batch
    return training.model_copy(update={"learning_rate": rate, "learning_rate_batch": None})


def learning_rate(training: TrainingConfig, step: int, total_steps: int) -> float:
    """Return the rate of a step: a linear rise, then a cosine to zero, falls by steps or no change.

    The same as timm's `CosineLRScheduler` and torch's `MultiStepLR` behind the rise, which the
    tests compare; a function of the step alone needs no state in a checkpoint.

    Args:
        training: Peak rate, share of the warm-up, schedule.
        step: Steps taken so far, from 0.
        total_steps: Length of the run.

    Source: step: CAV-MAE's trainer, which halves the rate from the 10th of 25 epochs every 5.
    """
    warmup = round(training.warmup * total_steps)
    if step < warmup:
        return training.learning_rate * (step + 1) / warmup
    if training.schedule == "constant":
        return training.learning_rate
    if training.schedule == "step":
        return training.learning_rate * training.decay_factor ** _falls(training, step, total_steps)
    progress = (step - warmup) / max(1, total_steps - warmup)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _falls(training: TrainingConfig, step: int, total_steps: int) -> int:
    most = math.ceil((1 - training.decay_start) / training.decay_every)
    falls = (training.decay_start + number * training.decay_every for number in range(most))
    return sum(step >= round(share * total_steps) for share in falls)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use a rate from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def _is_undecayed(name: str) -> bool:
    return any(part in name for part in NO_DECAY)
