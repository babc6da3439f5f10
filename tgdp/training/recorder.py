"""Metric events, progress and the status of a run, written every few steps by its first rank."""

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from torch import Tensor

from tgdp.config import Config
from tgdp.data.files import write_whole
from tgdp.losses.objective import Losses
from tgdp.model.schedules import Moment
from tgdp.training.learner import Lost
from tgdp.training.meter import Meter, Pace
from tgdp.training.run_directory import RunDirectory
from tgdp.training.update import Update

logger = logging.getLogger(__name__)


class Recorder:
    """Writes down what happens; in between nothing is read back from the device.

    Args:
        run: Where.
        config: The run.
        meter: Of its speed.
        total_steps: Its length.
        step: Steps taken before.
    """

    def __init__(
        self, run: RunDirectory, config: Config, meter: Meter, total_steps: int, step: int
    ) -> None:
        self._run = run
        self._config = config
        self._meter = meter
        self._total_steps = total_steps
        self._earlier = run.status().seconds
        self._started = time.monotonic()
        run.set_status(replace(run.status(), step=step, total_steps=total_steps))

    def record(
        self,
        moment: Moment,
        update: Update,
        extra: Mapping[str, Tensor | float],
        waited: Callable[[], float],
    ) -> None:
        """Write down a step, if its turn has come.

        Args:
            moment: Where in the run it stands.
            update: What came of it.
            extra: What else belongs to it, by metric name.
            waited: Returns the seconds spent waiting for data since it was last called.
        """
        step = moment.step + 1
        self._meter.count()
        if step % self._config.runtime.log_every and step < self._total_steps:
            return
        pace = self._meter.read(moment, waited())
        more = {name: float(value) for name, value in extra.items()}
        values = named(update.losses) | more | {"train/grad_norm": update.norm.item()}
        # What is not finite is no JSON, and no value on a curve; of a lost step `lost` tells it.
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._run.append({"kind": "metric", "step": step, "values": {**finite, **pace.values()}})
        status = self._run.status()
        self._run.set_status(
            replace(
                status,
                step=step,
                loss=finite.get("train/loss/total", status.loss),
                samples_per_s=pace.samples_per_s,
                data_wait=pace.data_wait,
                mfu=pace.mfu,
                seconds=self._seconds(),
                updated=time.time(),
            )
        )
        logger.info("%s", self._line(step, values, pace))

    def saved(self, step: int) -> None:
        """Note that a checkpoint of a step is there whole."""
        seconds = self._seconds()
        status = replace(self._run.status(), saved=step, seconds=seconds, saved_seconds=seconds)
        self._run.set_status(replace(status, step=step, updated=time.time()))

    def evaluated(self, step: int, values: Mapping[str, float]) -> None:
        """Write down what was measured in the middle of a run."""
        self._run.append({"kind": "metric", "step": step, "values": dict(values)})
        r1 = values.get(f"retrieval/{self._config.data.name}/a2v/r1")
        self._run.set_status(replace(self._run.status(), r1=r1))

    def lost(
        self, step: int, update: Update, lost: Lost, clips: list[str], *, is_over: bool
    ) -> None:
        """Write down a step that was skipped because something was not finite.

        Args:
            step: Steps taken, this one included.
            update: What came of it.
            lost: Counts, this one included.
            clips: Ids of the clips of its batch, of all ranks.
            is_over: Whether the run ends here.
        """
        norm = update.norm.item()
        # As text: inf and nan are no JSON.
        values = {name: str(value) for name, value in named(update.losses).items()}
        event = {"step": step, "in_a_row": lost.in_a_row, "clips": clips}
        event["values"] = {**values, "train/grad_norm": str(norm)}
        self._run.append({"kind": "skip", **event})
        loss = values["train/loss/total"]
        logger.warning("step %d skipped: loss %s, gradient norm %s", step, loss, norm)
        if is_over:
            write_whole(self._run.diverged_file, json.dumps(event, indent=1))

    def _seconds(self) -> float:
        return self._earlier + time.monotonic() - self._started

    def _line(self, step: int, values: Mapping[str, float], pace: Pace) -> str:
        parts = [f"step {step}/{self._total_steps}", f"loss {values['train/loss/total']:.4g}"]
        for name, word in (
            ("train/loss/contrastive", "contrastive"),
            ("train/loss/distillation", "distillation"),
            ("train/contrastive_accuracy", "accuracy"),
            ("train/grad_norm", "gradient"),
            ("train/learning_rate", "rate"),
        ):
            if name in values:
                parts.append(f"{word} {values[name]:.3g}")
        parts.append(f"{pace.samples_per_s:.0f} samples/s")
        if pace.mfu is not None:
            parts.append(f"MFU {100 * pace.mfu:.0f} %")
        parts += [f"data wait {100 * pace.data_wait:.0f} %", f"{pace.peak_memory_gib:.1f} GiB"]
        rest = timedelta(seconds=round(pace.seconds_a_step * (self._total_steps - step)))
        return ", ".join([*parts, f"{rest} left"])


def named(losses: Losses) -> dict[str, float]:
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
