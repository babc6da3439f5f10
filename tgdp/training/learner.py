"""Everything that training changes, in one place."""

import inspect
import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tgdp.config import Config
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.model.initial import initialise
from tgdp.model.teacher import build_teacher
from tgdp.training.graphed import GraphedBackward, why_not
from tgdp.training.layers import prepare_layers
from tgdp.training.optim import build_optimizer
from tgdp.training.precision import build_scaler
from tgdp.training.ranks import current_world
from tgdp.training.step import Batch, compute_losses

logger = logging.getLogger(__name__)


class Objective(nn.Module):
    """The losses of a step as a module, which is what data-parallel training wraps.

    Args:
        config: The run.
        student: Whose parameters get gradients.
    """

    def __init__(self, config: Config, student: Student) -> None:
        super().__init__()
        self.config = config
        self.student = student

    def forward(self, teacher: Encoder | None, batch: Batch) -> Losses:
        """Return the losses of a batch, or of this rank's share of one."""
        return compute_losses(self.config, self.student, teacher, batch)


@dataclass
class Lost:
    """Steps that were skipped because a loss or a gradient was not finite.

    Attributes:
        total: In the whole run.
        in_a_row: Up to now.
    """

    total: int = 0
    in_a_row: int = 0


@dataclass
class Learner:
    """Everything that training changes.

    Attributes:
        student: Trained by gradient.
        teacher: Its slow copy; None where the run has no teacher.
        optimizer: Over the student.
        scaler: Of the loss, for float16.
        objective: The losses; of several ranks, with the mean of their gradients.
        graphed: The losses and their gradients as one CUDA graph, where that is asked for.
        step: Batches used up.
        lost: Of these, the ones that changed nothing.
    """

    student: Student
    teacher: Encoder | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    objective: nn.Module
    graphed: GraphedBackward | None = None
    step: int = 0
    lost: Lost = field(default_factory=Lost)


def build_learner(config: Config, device: torch.device, *, is_start: bool = True) -> Learner:
    """Return an untrained learner; the weights depend on the seed and on what it starts from.

    Args:
        config: The run.
        device: Where the weights go.
        is_start: Whether the start weights are read; a run that resumes no longer needs them.

    Raises:
        UserError: The start weights cannot be had or do not fit.
    """
    torch.manual_seed(config.seed)
    student = Student(config).to(device)
    if is_start:
        initialise(student, config)
    teacher = build_teacher(student.encoder) if config.teacher.enabled else None
    prepare_layers(student, config.runtime, is_trained=True)
    if teacher is not None:
        prepare_layers(teacher, config.runtime, is_trained=False)
    optimizer = build_optimizer(student, config.training)
    scaler = build_scaler(config, device)
    objective = _parallel(config, student)
    graphed = _graphed(config, device, student, teacher)
    return Learner(student, teacher, optimizer, scaler, objective, graphed)


def _graphed(
    config: Config, device: torch.device, student: Student, teacher: Encoder | None
) -> GraphedBackward | None:
    if not config.runtime.cuda_graphs:
        return None
    reason = why_not(config, device, current_world())
    if reason is not None:
        logger.warning("runtime.cuda_graphs: the run goes without, because %s", reason)
        return None
    return GraphedBackward(config, student, teacher)


_known = inspect.signature(DistributedDataParallel).parameters
_UNSYNCED: dict[str, Any] = {
    # The buffers are constants; torch 2.13 renamed what keeps them from being sent at every step.
    ("forward_sync_buffers" if "forward_sync_buffers" in _known else "broadcast_buffers"): False
}


def _parallel(config: Config, student: Student) -> nn.Module:
    objective = Objective(config, student)
    if current_world() == 1:
        return objective
    # Without one of the passes, some parameters take no part in a step; looking for them at every
    # step costs time.
    partial = not (config.reconstructs and config.contrasts)
    return DistributedDataParallel(
        objective, find_unused_parameters=partial, gradient_as_bucket_view=True, **_UNSYNCED
    )
