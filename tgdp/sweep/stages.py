"""The parts of the work on a run, each a job of its own: train, evaluate, measure by probes."""

from typing import NamedTuple

from tgdp.training.run_directory import State, Status

EXECUTE = "tgdp.evaluation.run:execute"
"""What trains and evaluates a run: `module:function`, imported only inside the job."""

PROBE = "tgdp.evaluation.prober:open_prober"
"""What measures probes of a run that is done."""


class Stage(NamedTuple):
    """A part of the work.

    Attributes:
        execute: `module:function` that does it, imported only inside the job.
        leaves: State of the run once it came to its end.
        is_probing: Whether it is about a run that is done.
    """

    execute: str
    leaves: State = "done"
    is_probing: bool = False

    @property
    def settled(self) -> tuple[State, ...]:
        """States in which there is nothing of it to do."""
        return ("done",) if self.leaves == "done" else (self.leaves, "done")


class Stages(NamedTuple):
    """Everything that may be done with a run.

    Attributes:
        train: From nothing, or from its newest checkpoint.
        evaluate: What is done with a run whose last step is saved.
        probe: What is done with a run that is done, where probes of it are asked for.
    """

    train: Stage
    evaluate: Stage
    probe: Stage = Stage(PROBE, is_probing=True)

    def next(self, status: Status) -> Stage:
        """Return what is to be done with a run that is not done."""
        return self.evaluate if status.is_trained else self.train


WHOLE = Stages(Stage(EXECUTE), Stage(EXECUTE))
"""Training and evaluation in one process, as `tgdp-train` does it."""

IN_TWO = Stages(
    Stage("tgdp.evaluation.run:pretrain", "trained"), Stage("tgdp.evaluation.run:measure")
)
"""A process each, as in sweeps: what fails in the second one costs no step of the first."""
