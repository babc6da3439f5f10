"""One optimiser step: losses, gradients, and the update, unless something is not finite."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tgdp.config import Config
from tgdp.losses.objective import Losses
from tgdp.model.schedules import momentum
from tgdp.model.teacher import follow
from tgdp.training.learner import Learner, Lost
from tgdp.training.optim import set_learning_rate
from tgdp.training.precision import autocast
from tgdp.training.ranks import summed
from tgdp.training.shares import Shares, whole
from tgdp.training.step import Batch

LOWEST_SCALE = 1.0
"""Of the loss in float16: below it, gradients that overflow are no longer the scaler's to mend."""


class Update(NamedTuple):
    """What came of a step.

    Attributes:
        losses: Mean over all pairs of the step, of all ranks.
        norm: Gradient norm before clipping, over all ranks.
        is_taken: Whether the weights were changed.
        is_lost: Whether it was not because a loss or a gradient was not finite; the overflow of a
            float16 gradient, after which the scaler tries a smaller factor, is no loss.
    """

    losses: Losses
    norm: Float[Tensor, ""]
    is_taken: bool
    is_lost: bool


def take_step(
    config: Config, learner: Learner, batch: Batch, rate: float, own: Shares | None = None
) -> Update:
    """Return what came of one optimiser step, taken in place.

    On several ranks every one of them calls this with its share, and all decide alike.

    Args:
        config: The run.
        learner: Changed in place, but for a step that is not finite: then only its counts are.
        batch: This rank's pairs, part after part, on the device.
        rate: Learning rate of this step.
        own: How the pairs are divided; one rank that has them all if None.
    """
    own = own or whole(len(batch.samples), config.training.accumulation)
    set_learning_rate(learner.optimizer, rate)
    losses = _backward(config, learner, batch, own)
    learner.scaler.unscale_(learner.optimizer)
    norm = nn.utils.clip_grad_norm_(learner.student.parameters(), config.training.clip_norm)
    # The only moment at which a step waits for the device.
    loss_finite, norm_finite = torch.isfinite(torch.stack([losses.total, norm])).tolist()
    is_taken = loss_finite and norm_finite
    if is_taken:
        learner.scaler.step(learner.optimizer)
        learner.student.hold_temperature()
        if learner.teacher is not None:
            follow(learner.teacher, learner.student.encoder, momentum(config.teacher, batch.moment))
    overflowed = learner.scaler.is_enabled() and learner.scaler.get_scale() > LOWEST_SCALE
    if learner.scaler.is_enabled():
        learner.scaler.update()
    learner.step += 1
    is_lost = not is_taken and not (loss_finite and overflowed)
    _count(learner.lost, is_taken=is_taken, is_lost=is_lost)
    return Update(losses, norm, is_taken, is_lost)


def _count(lost: Lost, *, is_taken: bool, is_lost: bool) -> None:
    lost.total += is_lost
    if is_lost or is_taken:
        lost.in_a_row = lost.in_a_row + 1 if is_lost else 0


def _backward(config: Config, learner: Learner, batch: Batch, own: Shares) -> Losses:
    """Add up the gradients of the parts; return the losses of the whole step."""
    if learner.graphed is not None:
        return learner.graphed(batch)
    learner.optimizer.zero_grad(set_to_none=True)
    sums: list[Tensor] = []
    names: list[str] = []
    last = len(own.sizes) - 1
    for number, (part, weight) in enumerate(zip(_parts(batch, own), own.weights(), strict=True)):
        # Gradients are exchanged once, with those of the last part.
        with _unexchanged(learner.objective) if number < last else nullcontext():
            with autocast(config, batch.image.device):
                losses: Losses = learner.objective(learner.teacher, part)
            learner.scaler.scale(losses.total * weight).backward()
        terms = {name: term for name, term in losses._asdict().items() if term is not None}
        names = list(terms)
        found = torch.stack([term.detach().float() for term in terms.values()])
        sums.append(found * (weight / own.world))
    joined = summed(torch.stack(sums).sum(dim=0)).unbind()
    return Losses(**dict(zip(names, joined, strict=True)))


def _unexchanged(objective: nn.Module) -> AbstractContextManager[None]:
    is_parallel = isinstance(objective, DistributedDataParallel)
    return objective.no_sync() if is_parallel else nullcontext()


def _parts(batch: Batch, own: Shares) -> Iterator[Batch]:
    if len(own.sizes) == 1:
        yield batch
        return
    sizes = list(own.sizes)
    for audio, image, samples in zip(
        batch.audio.split(sizes), batch.image.split(sizes), batch.samples.split(sizes), strict=True
    ):
        yield Batch(audio, image, samples, batch.moment)
