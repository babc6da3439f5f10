"""Where the time of a step goes: the costliest operations, and kinds of them."""

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from tgdp.bench.step_cases import Take
from tgdp.training.step import Batch

COSTLIEST = 10

UPDATE = "optimiser, teacher"
ELEMENTWISE = "norms, elementwise"
PARTS = ("Optimizer.step", "_foreach_", "clip_grad", "teacher update", "_amp_")
"""In the name of an operation or of one around it: what is done to the parameters."""

KINDS: tuple[tuple[str, str], ...] = (
    # Names of torch's operations, and of the kernels of cuBLAS, cuDNN, CUTLASS and Triton. The
    # first pattern that fits counts: attention kernels are built of matrix products, too.
    ("attention", r"attention|flash|fmha|sdpa"),
    (UPDATE, r"multi_tensor|adam|_foreach_"),
    ("matrix products", r"gemm|nvjet|cutlass|xmma|conv|wgrad|dgrad|::addmm|::mm$|::bmm|linear"),
    # Before copies: Triton's names tell all that is fused, conversions of a type among it.
    (ELEMENTWISE, r"norm|gelu|softmax"),
    ("copies", r"mem(cpy|set)|copy|::cat$|CatArray|gather|scatter|index|::clone|::contiguous|fill"),
    (
        ELEMENTWISE,
        r"elementwise|reduce|triton|cpp_fused|::(add|sub|mul|div|pow|sum|mean|var"
        r"|neg|exp|log|sqrt|rsub|square|where|eq|ge|lt|lt|bitwise|__)",
    ),
)


@dataclass(frozen=True)
class Profile:
    """Where the time of a contender's steps goes.

    Attributes:
        costliest: Operation, milliseconds a step, share of all; the costliest first.
        kinds: Kind of operation, milliseconds a step, share of all.
        idle: Share of a step during which a GPU does nothing; None on a CPU.
    """

    costliest: tuple[tuple[str, float, float], ...]
    kinds: tuple[tuple[str, float, float], ...]
    idle: float | None


@dataclass(frozen=True)
class Spent:
    """Time that was spent in one kernel, or in one operation itself.

    Attributes:
        name: Of the kernel or the operation.
        around: Names of the operations around it, of an operation of the CPU.
        micros: Microseconds.
    """

    name: str
    around: tuple[str, ...]
    micros: float

    @property
    def kind(self) -> str:
        """Which kind of operation this is."""
        if any(part in name for name in (self.name, *self.around) for part in PARTS):
            return UPDATE
        found = (kind for kind, pattern in KINDS if re.search(pattern, self.name, re.IGNORECASE))
        return next(found, "other")


def profile_steps(take: Take, batch: Batch, num: int, seconds: Sequence[float]) -> Profile:
    """Return where the time of some steps goes; it is these that are slowed by being looked at.

    Args:
        take: Takes a step.
        batch: On this.
        num: Steps to take.
        seconds: What steps took that nobody looked at; how long a GPU is idle is told from these.
    """
    device = batch.image.device
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        for _ in range(num):
            take(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
    events: Any = profiler.events()
    spent = list(on_gpu(events) if device.type == "cuda" else _on_cpu(events))
    return summarise(spent, num, statistics.median(seconds) if device.type == "cuda" else None)


def summarise(spent: Sequence[Spent], num_steps: int, step_seconds: float | None) -> Profile:
    """Return the sums of what was spent.

    Args:
        spent: In all steps together.
        num_steps: How many these were.
        step_seconds: What a step takes on a GPU; None on a CPU.
    """
    by_name: dict[str, float] = defaultdict(float)
    by_kind: dict[str, float] = defaultdict(float)
    for one in spent:
        by_name[one.name] += one.micros / 1e3 / num_steps
        by_kind[one.kind] += one.micros / 1e3 / num_steps
    total = sum(by_kind.values())
    idle = None if step_seconds is None else max(0.0, 1 - total / 1e3 / step_seconds)
    return Profile(tuple(_ranked(by_name, total))[:COSTLIEST], tuple(_ranked(by_kind, total)), idle)


def _ranked(sums: dict[str, float], total: float) -> Iterator[tuple[str, float, float]]:
    for name, millis in sorted(sums.items(), key=lambda pair: -pair[1]):
        yield name, millis, millis / total if total else 0.0


def _on_cpu(events: Iterable[Any]) -> Iterator[Spent]:
    for event in events:
        yield Spent(event.name, _around(event), event.self_cpu_time_total)


def on_gpu(events: Iterable[Any]) -> Iterator[Spent]:
    """Yield the time of every kernel among what the profiler saw.

    Not by way of the operations that start them: nothing of torch's starts Triton's kernels.
    """
    for event in events:
        if event.device_type.name == "CUDA" and not event.is_user_annotation:
            yield Spent(event.name, (), event.time_range.elapsed_us())


def _around(event: Any) -> tuple[str, ...]:
    names: list[str] = []
    while (event := event.cpu_parent) is not None:
        names.append(event.name)
    return tuple(names)
