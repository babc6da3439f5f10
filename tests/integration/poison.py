"""Steps that are not finite or fail, made so on purpose."""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import tgdp.training.learner
from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.training.step import Batch

ComputeLosses = Callable[[Config, Student, Encoder | None, Batch], Losses]

KINDS = ("input", "loss", "gradient")


class Poison(NamedTuple):
    """What is wrong in which steps.

    Attributes:
        kind: The pictures, the loss alone, or nothing but the gradient; or the step fails.
        steps: Steps that were taken before, for each of the steps.
    """

    kind: Literal["input", "loss", "gradient", "error"]
    steps: tuple[int, ...]

    def arm(self) -> None:
        """Poison the steps of this process."""
        module = tgdp.training.learner
        module.compute_losses = self.around(module.compute_losses)

    def around(self, real: ComputeLosses) -> ComputeLosses:
        """Return what computes the losses, poisoned."""

        def poisoned(
            config: Config, student: Student, teacher: Encoder | None, batch: Batch
        ) -> Losses:
            if batch.moment.step not in self.steps:
                return real(config, student, teacher, batch)
            if self.kind == "error":
                raise UserError("the shard is cut short")
            if self.kind == "input":
                batch = batch._replace(image=batch.image * math.nan)
            losses = real(config, student, teacher, batch)
            if self.kind == "loss":
                return losses._replace(total=losses.total * math.nan)
            if self.kind == "gradient":
                losses.total.register_hook(lambda gradient: gradient * math.inf)
            return losses

        return poisoned
