"""The parts of the work on a run, each a job of its own: it is trained, then it is evaluated."""

from collections.abc import Sequence
from typing import NamedTuple

from tgdp.training.run_directory import State, Status

EXECUTE = "tgdp.evaluation.run:execute"
"""What trains and evaluates a run: `module:function`, imported only inside the job."""


class Stage(NamedTuple):
    """A part of the work.

    Attributes:
        execute: `module:function` that does it, imported only inside the job.
        leaves: State of the run once it came to its end.
    """

    execute: str
    leaves: State = "done"

    @property
    def settled(self) -> tuple[State, ...]:
        """States in which there is nothing of it to do."""
        return ("done",) if self.leaves == "done" else (self.leaves, "done")


WHOLE = (Stage(EXECUTE),)
"""Both in one process, as `tgdp-train` does it."""

IN_TWO = (
    Stage("tgdp.evaluation.run:pretrain", "trained"),
    Stage("tgdp.evaluation.run:measure"),
)
"""A process each, as in sweeps: what fails in the second one costs no step of the first."""


def next_stage(stages: Sequence[Stage], status: Status) -> Stage:
    """Return what is to be done with a run that is not done."""
    return stages[-1] if status.is_trained else stages[0]
