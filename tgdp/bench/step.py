"""How long a training step takes: ours in several ways, and the released way of working.

Nothing here reads data: it runs where torch is and none of the packages for media.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import torch

from tgdp.bench.plain import check_plain
from tgdp.bench.step_cases import (
    CASES,
    configure,
    contenders,
    on_device,
    synthetic_batch,
)
from tgdp.bench.step_profile import Profile
from tgdp.bench.step_race import Finish, Race, release, run_race
from tgdp.bench.step_rows import OUT_OF_MEMORY, Row, quartiles
from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.model.operations import operations
from tgdp.training.peak import peak_flops

WARMUP, COMPILED_WARMUP = 3, 5
"""Steps that do not count, unless told otherwise."""

GIB = 1 << 30


@dataclass(frozen=True)
class Request:
    """What is to be timed.

    Attributes:
        preset: Name of the preset.
        assignments: `key=value` words that change it.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        batches: Pairs a step; the preset's own if empty.
        cases: Names of the cases.
        plain: Whether the released way of working takes part.
        compiled: Whether ours takes part compiled, too.
        graphed: Whether ours takes part as a CUDA graph, too.
        steps: Steps that count, of each contender.
        warmup: Steps before that do not.
        threads: Of the process on the CPU; as torch has it if None.
        profiles: Whether it is worked out where the time goes.
    """

    preset: str = "tiny"
    assignments: tuple[str, ...] = ()
    device: str = "auto"
    batches: tuple[int, ...] = ()
    cases: tuple[str, ...] = tuple(CASES)
    plain: bool = False
    compiled: bool = False
    graphed: bool = False
    steps: int = 10
    warmup: int | None = None
    threads: int | None = None
    profiles: bool = False


class Result(NamedTuple):
    """A row, and where the time of its steps goes if that was asked for."""

    row: Row
    profile: Profile | None


def time_steps(request: Request) -> Iterator[Result]:
    """Yield what was measured, case by case and batch by batch.

    Raises:
        UserError: The request is not valid; nothing has been timed then.
    """
    if request.threads:
        torch.set_num_threads(request.threads)
    device = find_device(request.device)
    if request.graphed and device.type != "cuda":
        raise UserError(f"--graph: it is for a GPU, and the device is {device}")
    configs = list(_configs(request, device))
    taking_part = contenders(
        compiled=request.compiled, graphed=request.graphed, plain=request.plain
    )
    race = Race(
        request.steps,
        WARMUP if request.warmup is None else request.warmup,
        COMPILED_WARMUP if request.warmup is None else request.warmup,
        request.profiles,
    )
    compiled_for: int | None = None
    for case, config in configs:
        if request.compiled and config.training.batch_size != compiled_for:
            # What was compiled for other sizes counts towards the most that torch compiles.
            compiled_for = config.training.batch_size
            torch.compiler.reset()
        for finish in run_race(taking_part, config, synthetic_batch(config, device), race):
            yield Result(_row(request, case, config, finish, device), finish.profile)
        release(device)


def find_device(name: str) -> torch.device:
    """Return the device of that name, `auto` the GPU if there is one.

    Raises:
        UserError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UserError(f"--device {name}: choose auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: choose auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise UserError(f"--device {name}: torch finds {found} GPUs here; choose cpu or auto")
    return device


def _configs(request: Request, device: torch.device) -> Iterator[tuple[str, Config]]:
    for case in request.cases:
        for batch in request.batches or (None,):
            config = configure(request.preset, request.assignments, case, batch)
            if request.plain:
                check_plain(config)
            yield case, on_device(config, device)


def _row(request: Request, case: str, config: Config, finish: Finish, device: torch.device) -> Row:
    precision, batch = finish.contender.precision(config, device), config.training.batch_size
    low = median = high = rate = mfu = None
    work = operations(config).step
    if finish.fits:
        low, median, high = quartiles(finish.seconds)
        rate, peak = batch / median, peak_flops(device, precision)
        mfu = None if peak is None else work * rate / peak
    return Row(
        date=datetime.now(UTC).date().isoformat(),
        device=_describe(device),
        torch=torch.__version__,
        preset=", ".join((request.preset, *request.assignments)),
        case=CASES[case].label,
        contender=finish.contender.name,
        batch=batch,
        precision=precision,
        median_ms=_millis(median),
        q25_ms=_millis(low),
        q75_ms=_millis(high),
        samples_per_s=rate,
        mfu=mfu,
        peak_gib=None if finish.peak is None or not finish.fits else finish.peak / GIB,
        operations_per_sample=work,
        note="" if finish.fits else OUT_OF_MEMORY,
    )


def _millis(seconds: float | None) -> float | None:
    return None if seconds is None else 1e3 * seconds


def _describe(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"
