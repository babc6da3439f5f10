"""Steps of several contenders, taken in turn and timed one by one."""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from tgdp.bench.step_cases import Contender, Take
from tgdp.bench.step_profile import Profile, profile_steps
from tgdp.config import Config
from tgdp.training.step import Batch

PROFILED_STEPS = 3


@dataclass(frozen=True)
class Race:
    """How it is run.

    Attributes:
        steps: Steps that count, of each contender.
        warmup: Steps before that do not.
        compiled_warmup: Likewise, of those that compile.
        profiles: Whether it is worked out where the time goes.
    """

    steps: int
    warmup: int
    compiled_warmup: int
    profiles: bool = False


@dataclass
class Finish:
    """What came of one contender's steps.

    Attributes:
        contender: Who took them.
        fits: Whether they fitted into the memory; if not, there are no figures.
        seconds: One number a step.
        peak: The most bytes of the device that it held at once; None on a CPU.
        profile: Where the time goes.
    """

    contender: Contender
    fits: bool = True
    seconds: list[float] = field(default_factory=list)
    peak: int | None = None
    profile: Profile | None = None


def run_race(
    contenders: Sequence[Contender], config: Config, batch: Batch, race: Race
) -> list[Finish]:
    """Return what came of each contender's steps.

    The weights of all lie in memory together, which is taken off the peak of each. One that does
    not fit beside the others gets a second chance alone.

    Args:
        contenders: Who takes part.
        config: The run.
        batch: Pairs on the device; every step is taken on these.
        race: How it is run.
    """
    finishes = _together(contenders, config, batch, race)
    release(batch.image.device)
    if len(contenders) == 1:
        return finishes
    for number, finish in enumerate(finishes):
        if not finish.fits:
            (finishes[number],) = _together([finish.contender], config, batch, race)
            release(batch.image.device)
    return finishes


def release(device: torch.device) -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


@dataclass
class _Runner:
    """A contender on its way: what takes its steps, and the bytes it holds between them."""

    finish: Finish
    take: Take
    resident: int


def _together(
    contenders: Sequence[Contender], config: Config, batch: Batch, race: Race
) -> list[Finish]:
    finishes = [Finish(contender) for contender in contenders]
    runners = [
        runner for finish in finishes if (runner := _start(finish, config, batch, race)) is not None
    ]
    for _ in range(race.steps):
        for runner in runners:
            if runner.finish.fits:
                _time_one(runner, batch)
    for runner in runners:
        if race.profiles and runner.finish.fits:
            runner.finish.profile = profile_steps(
                runner.take, batch, PROFILED_STEPS, runner.finish.seconds
            )
    return finishes


def _start(finish: Finish, config: Config, batch: Batch, race: Race) -> _Runner | None:
    """Build a contender and take the steps that do not count; None where they do not fit."""
    device, contender = batch.image.device, finish.contender
    before, take = _held(device), None
    try:
        take = contender.build(config, device)
        for _ in range(race.compiled_warmup if contender.is_compiled else race.warmup):
            take(batch)
    except torch.OutOfMemoryError:
        finish.fits = False
    if take is None or not finish.fits:
        # Here and not above: until it is dealt with, the exception holds what did not fit.
        take = None
        release(device)
        return None
    _wait(device)
    return _Runner(finish, take, _held(device) - before)


def _time_one(runner: _Runner, batch: Batch) -> None:
    device, finish = batch.image.device, runner.finish
    others = _held(device) - runner.resident - _size(batch)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    _wait(device)
    started = time.perf_counter()
    try:
        runner.take(batch)
    except torch.OutOfMemoryError:
        finish.fits = False
        return
    _wait(device)
    finish.seconds.append(time.perf_counter() - started)
    if device.type == "cuda":
        finish.peak = max(finish.peak or 0, torch.cuda.max_memory_allocated(device) - others)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _held(device: torch.device) -> int:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0


def _size(batch: Batch) -> int:
    return batch.audio.nbytes + batch.image.nbytes
