"""What is timed: three ways to train from one preset, and who takes the steps."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tgdp import presets
from tgdp.bench.plain import build_plain, take_plain_step
from tgdp.bench.step_rows import name_of_ours
from tgdp.config import Config, override, parse_assignments
from tgdp.errors import UserError, unknown_name
from tgdp.model.schedules import Moment
from tgdp.training.step import Batch

Take = Callable[[Batch], object]
"""Takes one training step on a batch."""


class Case(NamedTuple):
    """A way to train.

    Attributes:
        label: What tables call it.
        changes: What makes it of a preset.
    """

    label: str
    changes: Mapping[str, Any]


CASES: dict[str, Case] = {
    "single": Case("single pass", {**presets.NO_TEACHER, **presets.SINGLE_PASS}),
    "dual": Case("dual pass", {**presets.NO_TEACHER, "passes": "dual"}),
    "teacher": Case("dual + teacher", {**presets.WITH_TEACHER, "passes": "dual"}),
}

TAKEN: Mapping[str, str] = {
    "training.batch_size": "--batch",
    "runtime.device": "--device",
    "runtime.threads": "--threads",
    "runtime.compile": "--compile",
    "runtime.cuda_graphs": "--graph",
}
"""Keys that an option of the command says."""


class Contender(NamedTuple):
    """Who takes the steps.

    Attributes:
        name: What tables call it.
        build: Returns what takes a step, with untrained weights on a device.
        precision: Of a configuration on a device.
        is_compiled: Whether its first steps compile.
    """

    name: str
    build: Callable[[Config, torch.device], Take]
    precision: Callable[[Config, torch.device], str]
    is_compiled: bool = False


def configure(
    preset: str, assignments: tuple[str, ...], case: str, batch: int | None = None
) -> Config:
    """Return the configuration of one case.

    Args:
        preset: Name of the preset.
        assignments: `key=value` words; they hold for every case.
        case: Name of the case.
        batch: Pairs a step; the preset's if None.

    Raises:
        UserError: A name, a key or a value is not valid, or a key is not for `--set` to say.
    """
    if case not in CASES:
        raise unknown_name("case", case, CASES)
    changes = parse_assignments(list(assignments))
    # The ratio is what a preset may say of the contrastive mask; a single pass has no say in it.
    said = {key for one in CASES.values() for key in one.changes} - {"contrastive.mask.ratio"}
    for key in changes:
        if key in TAKEN:
            raise UserError(f"--set {key}: give it as {TAKEN[key]}")
        if key in said:
            raise UserError(f"--set {key}: this is what tells the cases apart; choose with --case")
    everywhere = {**changes, **CASES[case].changes}
    if batch is not None:
        everywhere["training.batch_size"] = batch
    return override(presets.by_name(preset), everywhere, f"preset {preset}, case {case}")


def parse_batches(text: str | None) -> tuple[int, ...]:
    """Return the batch sizes of `--batch`: `16` or `16,32`; none if None.

    Raises:
        UserError: It is not a list of numbers, each 2 or more and there once.
    """
    words = [] if text is None else [word.strip() for word in text.split(",")]
    sizes = [int(word) for word in words if word.isascii() and word.isdigit() and int(word) >= 2]
    if len(sizes) < len(words) or len(set(sizes)) < len(sizes):
        raise UserError(f"--batch {text}: expected numbers of 2 or more, as in --batch 16,32")
    return tuple(sizes)


def parse_against(text: str | None) -> bool:
    """Say whether `--against` asks for plain.

    Raises:
        UserError: It asks for something else.
    """
    if text not in (None, "plain"):
        raise unknown_name("contender", text, ["plain"])
    return text == "plain"


def contenders(*, compiled: bool, graphed: bool, plain: bool) -> tuple[Contender, ...]:
    """Return who takes part: plain first where it does, ours in each way that is asked for."""
    found = [Contender("plain", _plain, _plain_precision)] if plain else []
    for compiles in (False, True)[: 1 + compiled]:
        for records in (False, True)[: 1 + graphed]:
            name = name_of_ours(compiled=compiles, graphed=records)
            ways = {"runtime.compile": compiles, "runtime.cuda_graphs": records}
            found.append(Contender(name, partial(_ours, ways), _own_precision, compiles))
    return tuple(found)


def on_device(config: Config, device: torch.device) -> Config:
    """Return a configuration for a device; a CPU computes in float32 whatever the preset says."""
    changes: dict[str, Any] = {"runtime.device": str(device)}
    if device.type == "cpu":
        changes["training.precision"] = "float32"
    return override(config, changes, f"device {device}")


def synthetic_batch(config: Config, device: torch.device) -> Batch:
    """Return pairs of noise of the right shapes, made on the device, at the end of all schedules.

    There guidance has set in, and as many patches are hidden as `operations` counts.
    """
    generator = torch.Generator(device).manual_seed(config.seed)
    num, side = config.training.batch_size, config.data.image_size

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    mask = config.contrastive.mask
    moment = Moment(mask.warmup_steps + 1, mask.warmup_steps + 2, mask.warmup_epochs)
    return Batch(
        normal(num, config.data.audio_steps, 128),
        normal(num, 3, side, side),
        torch.arange(num, device=device),
        moment,
    )


def _ours(ways: Mapping[str, bool], config: Config, device: torch.device) -> Take:
    from tgdp.training.learner import build_learner
    from tgdp.training.update import take_step

    config = override(config, ways, "ours")
    learner, rate = build_learner(config, device), config.training.learning_rate
    return lambda batch: take_step(config, learner, batch, rate)


def _plain(config: Config, device: torch.device) -> Take:
    learner = build_plain(config, device)
    return lambda batch: take_plain_step(config, learner, batch)


def _own_precision(config: Config, device: torch.device) -> str:
    del device
    return config.training.precision


def _plain_precision(config: Config, device: torch.device) -> str:
    del config
    return "float16" if device.type == "cuda" else "float32"
