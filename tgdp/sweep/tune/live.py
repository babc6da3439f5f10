"""What the work on a study is about: how many trials are wished for, those in work, its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.sampler import SamplerName
from tgdp.sweep.tune.workers import Work

Reason = Literal["all told", "stopped", "given up"]


@dataclass(frozen=True)
class Ending:
    """How the work on a study came to its end.

    Attributes:
        reason: `all told`: as many trials as were asked for; `stopped` by a signal; `given up`.
        words: Why it was given up.
    """

    reason: Reason
    words: str = ""


@dataclass(frozen=True)
class Wish:
    """How a study is to be worked on.

    Attributes:
        trials: How many it shall have; None for as many as the grid has points.
        sampler: What proposes points.
        prune: Whether trials are pruned.
    """

    trials: int | None
    sampler: SamplerName = "tpe"
    prune: bool = False


@dataclass
class Live:
    """A trial whose run is being worked on.

    Attributes:
        trial: As it was asked.
        planned: Its run.
        work: How the work on it is.
        best: The best mean R@1 that was measured on its way; None before the first.
        is_pruned: Whether it is to end before its training is over.
    """

    trial: Trial
    planned: PlannedRun
    work: Work
    best: float | None = None
    is_pruned: bool = False

    @property
    def is_training(self) -> bool:
        """Whether steps are left: what is trained is better evaluated than thrown away."""
        status = self.work.status
        is_running = self.work.phase == "running" and status.state == "running"
        return is_running and status.step < status.total_steps


class Observer(Protocol):
    """Shows what happens."""

    def told(self, trial: Trial) -> None:
        """Take note of a trial that came to an end."""
        ...

    def update(self, live: Sequence[Live], stopping: bool) -> None:
        """Take note of how the others are."""
        ...
