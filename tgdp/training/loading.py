"""From prepared clips to batches on the device, each rank its own share."""

import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tgdp.config import Config
from tgdp.data.clips import PairDataset
from tgdp.data.front_end import FrontEnd
from tgdp.data.workers import deaf_to_requests
from tgdp.errors import UserError
from tgdp.model.schedules import Moment
from tgdp.training.batches import EpochBatches
from tgdp.training.step import Batch


def data_folder(config: Config) -> Path:
    """Return the prepared data of a run.

    Raises:
        UserError: The configuration names none.
    """
    if config.data.folder is None:
        raise UserError("data.folder: no prepared data named; give --data DIR")
    return config.data.folder


def open_pairs(config: Config) -> PairDataset:
    """Return the training pairs of a run.

    Raises:
        UserError: The folder is not prepared, has no such split, or only one clip in it.
    """
    folder, split = data_folder(config), config.data.train_split
    pairs = PairDataset(folder, split, config.data, config.seed)
    if len(pairs) < 2:
        raise UserError(
            f"{folder}: split '{split}' holds {len(pairs)} clip; "
            "contrastive training needs at least 2"
        )
    return pairs


class Loader:
    """Iterates over what is left of a run, batch by batch, and knows how long it waited.

    Attributes:
        batches: As given.
        device: As given.

    Args:
        pairs: Training pairs.
        batches: Which of them make up which batch, from the first step that is to be taken.
        config: The run.
        device: Where the batches go.
    """

    def __init__(
        self, pairs: PairDataset, batches: EpochBatches, config: Config, device: torch.device
    ) -> None:
        workers = config.runtime.num_workers
        self.batches = batches
        self.device = device
        self._pairs = pairs
        self._split = config.data.train_split
        self._front_end = FrontEnd(config.data).to(device)
        self._waited = 0.0
        self._loader = DataLoader(
            pairs,
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            prefetch_factor=config.runtime.prefetch if workers else None,
        )

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches from the first step on, on the device."""
        with deaf_to_requests():
            raws = iter(self._loader)
        for step in range(self.batches.first_step, self.batches.total_steps):
            started = time.perf_counter()
            raw = next(raws)
            self._waited += time.perf_counter() - started
            yield self._prepare(raw, self.batches.moment(step))

    def waited(self) -> float:
        """Return the seconds spent waiting for data since this was last asked."""
        seconds, self._waited = self._waited, 0.0
        return seconds

    def clips(self, step: int) -> list[str]:
        """Return the ids of the clips of a step's batch, of all ranks."""
        clips = self._pairs.clips
        numbers = clips.indices(self._split)
        return [clips.ids[int(numbers[index])] for index in self.batches.samples(step)]

    def _prepare(self, raw: dict[str, Tensor], moment: Moment) -> Batch:
        moved = {name: value.to(self.device, non_blocking=True) for name, value in raw.items()}
        inputs = self._front_end(
            moved["image"], moved["waveform"], moved["num_steps"], moved.get("roll")
        )
        return Batch(inputs.audio, inputs.image, moved["index"], moment)
