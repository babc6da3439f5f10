"""Metric events and the status of a run, written every few steps."""

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from tgdp.config import Config
from tgdp.losses.objective import Losses
from tgdp.training.run_directory import RunDirectory


class DivergedError(Exception):
    """The loss is no longer a number."""


class Recorder:
    """Writes metric events and the status every few steps; in between nothing waits for the GPU."""

    def __init__(self, run: RunDirectory, config: Config, total_steps: int, step: int) -> None:
        self._run = run
        self._config = config
        self._total_steps = total_steps
        self._earlier = run.status().seconds
        self._started = self._marked = time.monotonic()
        self._samples = 0
        run.set_status(replace(run.status(), step=step, total_steps=total_steps))

    def record(
        self,
        step: int,
        losses: Losses,
        norm: Tensor,
        extra: Mapping[str, Tensor | float],
        *,
        samples: int,
    ) -> None:
        """Note a step, and write it down if its turn has come.

        Args:
            step: Steps taken.
            losses: Its losses.
            norm: Gradient norm before clipping.
            extra: What else belongs to the step, by metric name.
            samples: Pairs in the step.

        Raises:
            DivergedError: The total loss is not finite.
        """
        self._samples += samples
        if step % self._config.runtime.log_every and step < self._total_steps:
            return
        more = {name: float(value) for name, value in extra.items()}
        values = _named(losses) | more | {"train/grad_norm": norm.item()}
        if not math.isfinite(values["train/loss/total"]):
            raise DivergedError(f"the loss is {values['train/loss/total']} at step {step}")
        now = time.monotonic()
        speed = self._samples / (now - self._marked)
        self._marked, self._samples = now, 0
        self._run.append(
            {"kind": "metric", "step": step, "values": {**values, "perf/samples_per_s": speed}}
        )
        self._run.set_status(
            replace(
                self._run.status(),
                step=step,
                loss=values["train/loss/total"],
                samples_per_s=speed,
                seconds=self._earlier + now - self._started,
                updated=time.time(),
            )
        )


def _named(losses: Losses) -> dict[str, float]:
    """Return the parts that were computed, by the names of the events."""
    names = {
        "reconstruction_image": "train/loss/reconstruction_visual",
        "contrastive_accuracy": "train/contrastive_accuracy",
    }
    return {
        names.get(name, f"train/loss/{name}"): value.item()
        for name, value in losses._asdict().items()
        if value is not None
    }
