"""How fast a run is, and what keeps it from being faster."""

import resource
import sys
import time
from dataclasses import dataclass

import torch

from tgdp.config import Config, num_kept
from tgdp.model.operations import Patches, full_view, operations
from tgdp.model.schedules import Moment, is_guided, mask_ratios
from tgdp.training.peak import peak_flops


@dataclass(frozen=True)
class Pace:
    """The speed over a stretch of steps.

    Attributes:
        samples_per_s: Pairs a second, of all ranks.
        seconds_a_step: Of these pairs.
        data_wait: Share of the time in which the first rank waited for data.
        mfu: Model FLOP/s utilisation: the operations that the method needs, over those that the
            devices could have done; None where their peak is not known, as of a CPU.
        peak_memory_gib: Most memory in use so far, of one device; without a GPU of the process.
    """

    samples_per_s: float
    seconds_a_step: float
    data_wait: float
    mfu: float | None
    peak_memory_gib: float

    def values(self) -> dict[str, float]:
        """Return the figures by metric name; what is not known is left out."""
        found = {
            "perf/samples_per_s": self.samples_per_s,
            "perf/data_wait": self.data_wait,
            "perf/peak_memory_gib": self.peak_memory_gib,
        }
        return found if self.mfu is None else {**found, "perf/mfu": self.mfu}


class Meter:
    """Counts steps and seconds between two looks.

    Args:
        config: The run.
        device: Of this rank.
        pairs: Of a step, of all ranks.
        world: Ranks, each with a device like it.
    """

    def __init__(self, config: Config, device: torch.device, pairs: int, world: int = 1) -> None:
        self._config = config
        self._device = device
        self._peak = peak_flops(device, config.training.precision)
        self._pairs = pairs
        self._world = world
        self._steps = 0
        self._marked = time.perf_counter()

    def count(self) -> None:
        """Add a step."""
        self._steps += 1

    def read(self, moment: Moment, waited: float) -> Pace:
        """Return the pace since the last look, and begin anew.

        Args:
            moment: The newest step; a mask ratio on the move is taken as it stands there.
            waited: Seconds spent waiting for data.
        """
        now = time.perf_counter()
        seconds = max(now - self._marked, 1e-9)
        each = seconds / max(1, self._steps)
        speed = self._pairs / each
        self._marked, self._steps = now, 0
        mfu = None
        if self._peak is not None:
            mfu = step_operations(self._config, moment) * speed / (self._peak * self._world)
        return Pace(speed, each, min(1.0, waited / seconds), mfu, peak_memory_gib(self._device))


def step_operations(config: Config, moment: Moment) -> int:
    """Return the operations of a step for one pair, with the mask ratios of that step."""
    every = full_view(config)
    seen: list[Patches] = []
    for path, mask in (
        ("reconstruction", config.reconstruction.mask),
        ("contrastive", config.contrastive.mask),
    ):
        ratios = mask_ratios(mask, moment, config.seed, path)
        kept = (num_kept(num, ratio) for num, ratio in zip(every, ratios, strict=True))
        seen.append(Patches(*kept))
    return operations(config, *seen, guides=is_guided(config.contrastive.mask, moment)).step


def peak_memory_gib(device: torch.device) -> float:
    """Return the most memory in use so far, GiB: of a GPU by tensors, else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
