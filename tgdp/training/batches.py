"""Which clips make up which batch: a function of seed and step, so any step can be resumed."""

from collections.abc import Iterator

import torch

from tgdp.config import TrainingConfig
from tgdp.data import draws
from tgdp.model.schedules import Moment
from tgdp.training.ranks import Ranks
from tgdp.training.shares import Shares, own_items, own_stretches


class EpochBatches:
    """Batches of `(epoch, index)` keys, each clip once an epoch, without an incomplete batch.

    A clip never stands twice in one batch, because each would be the other's false negative. Where
    the data has fewer clips than a batch, the batch is the data. Of several ranks, each gets its
    stretch of every batch.

    Args:
        num_clips: Clips of the split.
        training: Batch size and length.
        seed: Seed of the run.
        ranks: Who asks.

    Attributes:
        own_stretches: Where this rank's pairs stand in each batch.
        own: How many they are, part by part.

    Raises:
        UserError: A batch is too small for the ranks.
    """

    def __init__(
        self, num_clips: int, training: TrainingConfig, seed: int, ranks: Ranks | None = None
    ) -> None:
        ranks = ranks or Ranks()
        self.num_clips = num_clips
        self.seed = seed
        self.batch_size = min(training.batch_size, num_clips)
        self.steps_per_epoch = num_clips // self.batch_size
        self.total_steps = training.steps or (training.epochs or 0) * self.steps_per_epoch
        self.first_step = 0
        self.own_stretches = own_stretches(
            self.batch_size, training.accumulation, ranks.rank, ranks.world
        )
        sizes = tuple(part.stop - part.start for part in self.own_stretches)
        self.own = Shares(sizes, self.batch_size, ranks.world)
        self._order: tuple[int, list[int]] = (-1, [])

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
        """Yield this rank's part of the batches from the first step on."""
        for step in range(self.first_step, self.total_steps):
            epoch = step // self.steps_per_epoch
            yield [(epoch, index) for index in own_items(self.samples(step), self.own_stretches)]

    def samples(self, step: int) -> list[int]:
        """Return the clips of a step's batch, of all ranks, as their index in the split."""
        epoch, number = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, self._shuffled(epoch))
        return self._order[1][number * self.batch_size : (number + 1) * self.batch_size]

    def _shuffled(self, epoch: int) -> list[int]:
        numbers = draws.uniform(self.seed, "shuffle", epoch, torch.arange(self.num_clips), 1)
        return numbers[:, 0].argsort(stable=True).tolist()
