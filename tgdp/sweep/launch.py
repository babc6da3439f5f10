"""A plan carried out: the queue works, the display shows it, and what came of it is counted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tgdp.sweep.backends import BACKENDS, Cluster
from tgdp.sweep.entry import Entry
from tgdp.sweep.live import open_display
from tgdp.sweep.machine import Slots
from tgdp.sweep.plan import Plan
from tgdp.sweep.queue import Queue
from tgdp.sweep.stages import IN_TWO, Stages

if TYPE_CHECKING:
    from rich.console import Console

FAILED = 1
MENDABLE = 2
"""As for every error that names its own mend."""
STOPPED = 130
"""What a shell reports for a command that Ctrl-C ended."""


@dataclass(frozen=True)
class Outcome:
    """What came of a launch.

    Attributes:
        entries: Every run that was to be worked on, in its last state.
        stopped: Whether somebody asked to stop before all was over.
    """

    entries: tuple[Entry, ...]
    stopped: bool

    @property
    def failed(self) -> tuple[Entry, ...]:
        """The runs that ended without a result."""
        return tuple(entry for entry in self.entries if entry.failed)

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        if self.stopped:
            return STOPPED
        if not self.failed:
            return 0
        return MENDABLE if all(entry.status.mendable for entry in self.failed) else FAILED


def launch(
    plan: Plan,
    slots: Slots,
    console: "Console",
    cluster: Cluster = "local",
    stages: Stages = IN_TWO,
) -> Outcome:
    """Run what a plan has left, and show it.

    Args:
        plan: What to run.
        slots: Jobs at once and the share of each; with `debug` it is always one.
        console: Where to show it.
        cluster: Where jobs run.
        stages: What the jobs of a run do.
    """
    jobs = 1 if cluster == "debug" else slots.jobs
    slots = Slots(jobs, slots.threads, slots.gpus)
    with open_display(console, plan, jobs) as display:
        queue = Queue(plan.todo(), BACKENDS[cluster](), slots, display.update, stages)
        queue.run()
    finished = all(entry.phase == "over" for entry in queue.entries)
    return Outcome(tuple(queue.entries), queue.stop() and not finished)
