"""Which clips make up which batch: a function of seed and step, so any step can be resumed."""

from collections.abc import Iterator

import torch

from tgdp.config import TrainingConfig
from tgdp.data import draws
from tgdp.model.schedules import Moment


class EpochBatches:
    """Batches of `(epoch, index)` keys, each clip once an epoch, without an incomplete batch.

    A clip never stands twice in one batch, because each would be the other's false negative. Where
    the data has fewer clips than a batch, the batch is the data.

    Args:
        num_clips: Clips of the split.
        training: Batch size and length.
        seed: Seed of the run.
    """

    def __init__(self, num_clips: int, training: TrainingConfig, seed: int) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self.batch_size = min(training.batch_size, num_clips)
        self.steps_per_epoch = num_clips // self.batch_size
        self.total_steps = training.steps or (training.epochs or 0) * self.steps_per_epoch
        self.first_step = 0

    def start_at(self, step: int) -> "EpochBatches":
        """Leave out the batches of the steps already taken."""
        self.first_step = step
        return self

    def moment(self, step: int) -> Moment:
        """Return where in the run a step stands."""
        return Moment(step, self.total_steps, step // self.steps_per_epoch)

    def __len__(self) -> int:
        return max(0, self.total_steps - self.first_step)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield the batches from the first step on."""
        order: tuple[int, list[int]] = (-1, [])
        for step in range(self.first_step, self.total_steps):
            epoch, number = divmod(step, self.steps_per_epoch)
            if order[0] != epoch:
                order = (epoch, self._shuffled(epoch))
            chosen = order[1][number * self.batch_size : (number + 1) * self.batch_size]
            yield [(epoch, index) for index in chosen]

    def _shuffled(self, epoch: int) -> list[int]:
        numbers = draws.uniform(self.seed, "shuffle", epoch, torch.arange(self.num_clips), 1)
        return numbers[:, 0].argsort(stable=True).tolist()
