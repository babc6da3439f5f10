"""Training a probe on frozen features, and asking it."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from tgdp.evaluation.probe.features import ROWS_AT_ONCE, Inputs
from tgdp.evaluation.probe.heads import AttentionProbe, LinearProbe
from tgdp.evaluation.probe.settings import ProbeSettings, Task

BETAS = (0.95, 0.999)
WEIGHT_DECAY = 5e-7
"""Source: the ancestors' fine-tuning, `traintest_ft.py`: Adam with L2."""
WARMUP = 0.05
"""Share of the steps in which the rate rises to its peak, before the cosine. Source: ours."""


@dataclass(frozen=True)
class Examples:
    """Inputs and targets of the clips that a probe may see.

    Attributes:
        inputs: Frozen features.
        targets: (N, C) of 0 and 1, or the class of each clip, (N,).
        num_classes: C.
    """

    inputs: Inputs
    targets: NDArray[Any]
    num_classes: int


def fit(
    examples: Examples,
    rows: NDArray[np.int64],
    rate: float,
    seed: int,
    settings: ProbeSettings,
    device: torch.device,
) -> nn.Module:
    """Return a probe trained on some of the clips, in float32, equal for equal arguments.

    Args:
        examples: Clips.
        rows: Which of them it sees.
        rate: Peak learning rate.
        seed: Of the initialisation and of the order of the clips.
        settings: Kind, task, length of the training.
        device: Where it is trained.

    Raises:
        UserError: A feature is not finite.
        RuntimeError: A parameter of the probe gets no gradient.
    """
    probe = _start(examples, rows, seed, settings).to(device).train()
    optimizer = torch.optim.Adam(probe.parameters(), rate, BETAS, weight_decay=WEIGHT_DECAY)
    num_steps = steps_of(len(rows), settings)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _cosine(num_steps))
    loss_of = _loss(settings.task)
    # The fused kernels add gradients up in any order; this one does not, and the rows are short.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        for step, batch in enumerate(_batches(rows, settings.batch, num_steps, seed)):
            inputs = torch.from_numpy(examples.inputs.read(batch)).to(device)
            targets = torch.from_numpy(examples.targets[batch]).to(device)
            optimizer.zero_grad()
            loss_of(probe(inputs), targets).backward()
            if step == 0:
                _require_gradients(probe)
            optimizer.step()
            schedule.step()
    return probe.eval()


@torch.no_grad()
def predict(
    probe: nn.Module, inputs: Inputs, rows: NDArray[np.int64], device: torch.device
) -> NDArray[np.float32]:
    """Return the logits of some clips, (N, C).

    Args:
        probe: Trained, on the device.
        inputs: Frozen features.
        rows: Which clips, in the order of the result.
        device: Where the probe is.

    Raises:
        UserError: A feature is not finite.
    """
    parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    with sdpa_kernel(SDPBackend.MATH):
        logits = [probe(torch.from_numpy(inputs.read(part)).to(device)).cpu() for part in parts]
    return torch.cat(logits).numpy()


def mean_loss(task: Task, logits: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """Return the loss of a task over some clips.

    Args:
        task: Binary cross-entropy or cross-entropy.
        logits: (N, C).
        targets: (N, C) of 0 and 1, or (N,).
    """
    return float(_loss(task)(torch.from_numpy(logits), torch.from_numpy(targets)))


def steps_of(num_clips: int, settings: ProbeSettings) -> int:
    """Return the number of steps of one training: the epochs, or the least there is to be.

    Args:
        num_clips: Clips that are trained on.
        settings: Epochs, batch, least number of steps.
    """
    return max(settings.min_steps, settings.epochs * math.ceil(num_clips / settings.batch))


def _start(
    examples: Examples, rows: NDArray[np.int64], seed: int, settings: ProbeSettings
) -> nn.Module:
    """Return the probe before its first step; on the CPU, so that it is the same everywhere."""
    if settings.kind == "linear":
        mean, deviation = _statistics(examples.inputs, rows)
        return LinearProbe(mean, deviation, examples.num_classes)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return AttentionProbe(examples.inputs.width, examples.num_classes)


def _statistics(inputs: Inputs, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every feature over the clips, in two passes."""
    parts = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
    mean = sum(inputs.read(part).sum(axis=0, dtype=np.float64) for part in parts) / len(rows)
    squares = sum(np.square(inputs.read(part) - mean).sum(axis=0) for part in parts) / len(rows)
    return torch.from_numpy(mean).float(), torch.from_numpy(np.sqrt(squares)).float()


def _batches(
    rows: NDArray[np.int64], batch: int, num_steps: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of every step: each epoch all of them, in an order of its own."""
    rng = np.random.default_rng(seed)
    step = 0
    while step < num_steps:
        order = rng.permutation(rows)
        for start in range(0, len(order), batch):
            if step == num_steps:
                return
            yield order[start : start + batch]
            step += 1


def _loss(task: Task) -> Callable[[Tensor, Tensor], Tensor]:
    if task == "singlelabel":
        return F.cross_entropy
    return lambda logits, hot: F.binary_cross_entropy_with_logits(logits, hot.float())


def _cosine(num_steps: int) -> Callable[[int], float]:
    """Return the share of the peak rate at every step."""
    warmup = max(1, round(WARMUP * num_steps))

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, num_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return share


def _require_gradients(probe: nn.Module) -> None:
    # Upstream: both layers of the ancestors' probe stay frozen at their random start.
    frozen = [name for name, value in probe.named_parameters() if value.grad is None]
    if frozen:
        raise RuntimeError(f"parameters of the probe that are not trained: {', '.join(frozen)}")
