"""Where the time of a step goes: a trace to look at, and the costliest operations in words."""

import logging
from pathlib import Path
from types import TracebackType

import torch
from torch.profiler import ProfilerActivity, profile, schedule

WAIT, WARMUP, ACTIVE = 2, 2, 3
"""Steps that pass by, steps that only warm the profiler up, steps that are traced."""

NUM_OPERATIONS = 10

logger = logging.getLogger(__name__)


class StepProfile:
    """Traces a few steps of a run, where that is asked for.

    Writes `trace.json.gz`, for Perfetto or chrome://tracing, and `operations.txt`.

    Args:
        folder: Where; None to do nothing.
        device: What the steps run on.
    """

    def __init__(self, folder: Path | None, device: torch.device) -> None:
        self._folder = folder
        self._on_gpu = device.type == "cuda"
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._on_gpu else [])]
        plan = schedule(wait=WAIT, warmup=WARMUP, active=ACTIVE, repeat=1)
        self._written = False
        self._profile = (
            None
            if folder is None
            else profile(activities=activities, schedule=plan, on_trace_ready=self._write)
        )

    def __enter__(self) -> "StepProfile":
        if self._profile is not None:
            self._profile.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._profile is None:
            return
        self._profile.stop()
        if not self._written:
            needed = WAIT + WARMUP + ACTIVE
            logger.warning("no profile: it needs %d steps, and the run took fewer", needed)

    def step(self) -> None:
        """Take note that a step is over."""
        if self._profile is not None and not self._written:
            self._profile.step()

    def _write(self, found: profile) -> None:
        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        found.export_chrome_trace(str(self._folder / "trace.json.gz"))
        table = costliest(found, on_gpu=self._on_gpu)
        (self._folder / "operations.txt").write_text(table + "\n", encoding="utf-8")
        self._written = True
        logger.info("trace of %d steps: %s\n%s", ACTIVE, self._folder / "trace.json.gz", table)


def costliest(found: profile, *, on_gpu: bool) -> str:
    """Return the operations that took the most time themselves, a line each with their share."""

    def cost(event: object) -> float:
        name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
        return float(getattr(event, name))

    events = [event for event in found.key_averages() if cost(event) > 0]
    total = sum(map(cost, events)) or 1.0
    lines = [f"{'operation':<60} {'share':>7} {'ms a step':>10} {'calls a step':>13}"]
    for event in sorted(events, key=cost, reverse=True)[:NUM_OPERATIONS]:
        share, milliseconds = cost(event) / total, cost(event) / 1000 / ACTIVE
        calls = event.count / ACTIVE
        lines.append(f"{event.key[:60]:<60} {share:>7.1%} {milliseconds:>10.2f} {calls:>13.1f}")
    return "\n".join(lines)
