"""Repeated timings and what is said of them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated runs of one thing.

    Attributes:
        name: What was timed.
        seconds: One number a run.
    """

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.seconds)

    def row(self, count: float = 0.0, unit: str = "") -> tuple[str, str, str, str]:
        """Return name, median, spread, and the rate where something was counted."""
        spread = f"{min(self.seconds):.3f} to {max(self.seconds):.3f}"
        rate = f"{count / self.median:.1f} {unit}" if count else ""
        return self.name, f"{self.median:.3f}", spread, rate


def measure(name: str, work: Callable[[], object], runs: int, warmup: int = 1) -> Timing:
    """Return the timing of some work, after runs that do not count.

    Args:
        name: What is timed.
        work: Done once a run.
        runs: Runs that count.
        warmup: Runs before that do not.
    """
    for _ in range(warmup):
        work()
    seconds: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return Timing(name, tuple(seconds))
