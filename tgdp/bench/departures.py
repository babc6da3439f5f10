"""What the departures from the released code are worth, measured on a file of its figures.

Each measure runs our code twice on the released model's weights and inputs: as the released code
does, and as ours does by default.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tgdp.bench.parity.figures import Figures
from tgdp.bench.parity.replay import Replay
from tgdp.config import MaskConfig
from tgdp.data.timing import frame_times, segment_starts
from tgdp.model.blocks import Direction
from tgdp.model.encoder import Pair
from tgdp.model.schedules import Moment, mask_ratios
from tgdp.model.selection import RULES
from tgdp.model.teacher import teacher_pass

DRAWS = 200
"""Random draws over which a measure is taken."""


HEADINGS = ("the released code", "measured", "released", "ours")


class Effect(NamedTuple):
    """One departure: what was measured, as released, as ours."""

    departure: str
    measure: str
    released: str
    ours: str


def measure(figures: Figures) -> Iterator[Effect]:
    """Yield the effect of each departure that can be measured without training.

    Args:
        figures: Weights and inputs of the released model.

    Raises:
        UserError: The file lacks weights, sizes or inputs.
    """
    torch.manual_seed(0)
    replay = Replay(figures)
    priority = _priority(replay, "patch_to_cls")
    yield _shuffled(priority)
    yield _sampled_spread(priority)
    yield _sampled_overlap(priority)
    yield _direction(priority, _priority(replay, "cls_to_patch"))
    yield _chaining(replay)
    yield _uniform_ratio()
    yield _timing()


def overlap(one: Tensor, other: Tensor) -> float:
    """Return the share of the better half by one merit that is in the better half by the other.

    Args:
        one: (B, N), higher is better.
        other: (B, N).
    """
    num = one.shape[1] // 2
    halves = [merit.argsort(dim=1, descending=True)[:, :num] for merit in (one, other)]
    shared = (halves[0][:, :, None] == halves[1][:, None, :]).any(dim=2)
    return shared.float().mean().item()


def _priority(replay: Replay, direction: Direction) -> Pair:
    inputs = replay.inputs
    view = teacher_pass(replay.encoder, inputs.audio, inputs.image, direction, with_vectors=False)
    if view.priority is None:
        raise ValueError("a direction was given, so the teacher ranks")
    return view.priority


def _mean_overlap(priority: Pair, rule: str, given: Pair | None = None) -> float:
    """Return how much a rule keeps of the true top half, mean over draws and modalities.

    Args:
        priority: The teacher's.
        rule: Its name.
        given: What the rule is given instead of the priority.
    """
    found = [
        overlap(part, RULES[rule](merit, torch.rand_like(part)))
        for part, merit in zip(priority, given or priority, strict=True)
        for _ in range(DRAWS)
    ]
    return sum(found) / len(found)


def _shuffled(priority: Pair) -> Effect:
    return Effect(
        "the teacher's ranks refer to shuffled tokens",
        "share of the true top half that is kept (chance 0.50)",
        f"{_mean_overlap(priority, 'guided_shuffled'):.2f}",
        f"{_mean_overlap(priority, 'guided'):.2f}",
    )


def _released_logits(part: Tensor) -> Tensor:
    """Return what the released sampling takes for log probabilities: the raw attention means."""
    return F.log_softmax(part, dim=1)


def _normalised_logits(part: Tensor) -> Tensor:
    return (part / part.sum(dim=1, keepdim=True)).log()


def _sampled_spread(priority: Pair) -> Effect:
    def ratio(logits: Tensor) -> float:
        return (logits.amax(dim=1) - logits.amin(dim=1)).exp().mean().item()

    return Effect(
        "sampled selection: softmax over raw attention means",
        "odds of the best patch over the worst, audio / picture",
        " / ".join(f"{ratio(_released_logits(part)):.3f}" for part in priority),
        " / ".join(f"{ratio(_normalised_logits(part)):.3f}" for part in priority),
    )


def _sampled_overlap(priority: Pair) -> Effect:
    as_released = Pair(*(_released_logits(part).exp() for part in priority))
    return Effect(
        "sampled selection: softmax over raw attention means",
        "share of the true top half that is kept (chance 0.50)",
        f"{_mean_overlap(priority, 'sampled', as_released):.2f}",
        f"{_mean_overlap(priority, 'sampled'):.2f}",
    )


def _direction(patch_to_cls: Pair, cls_to_patch: Pair) -> Effect:
    found = [overlap(one, other) for one, other in zip(patch_to_cls, cls_to_patch, strict=True)]
    return Effect(
        "attention of the patches to the CLS, not of the CLS to the patches",
        "share of one's top half in the other's, audio / picture",
        " / ".join(f"{value:.2f}" for value in found),
        "an option",
    )


def _chaining(replay: Replay) -> Effect:
    """Two joint layers, the second a copy of the first: how far the released vectors are off."""
    last_only = copy.deepcopy(replay.encoder)
    chained = copy.deepcopy(replay.encoder)
    chained.joint.append(copy.deepcopy(chained.joint[-1]))
    with torch.no_grad():
        pairs = zip(last_only(*replay.inputs[:2]), chained(*replay.inputs[:2]), strict=True)
        cosines = [F.cosine_similarity(one, other, dim=1).mean().item() for one, other in pairs]
    return Effect(
        "of two joint layers only the last one counts",
        "cosine with the vectors of the chained layers, audio / picture",
        " / ".join(f"{value:.2f}" for value in cosines),
        "1.00 / 1.00",
    )


def _uniform_ratio() -> Effect:
    """The ratio drawn anew each step: re-seeded with 0 every time it is the same number."""
    mask = MaskConfig(schedule="uniform", from_ratio=0.6, ratio=0.9)
    ours = [
        mask_ratios(mask, Moment(step, DRAWS, 0), 0, "reconstruction")[0] for step in range(DRAWS)
    ]
    theirs = [
        0.6 + 0.3 * torch.rand(1, generator=torch.Generator().manual_seed(0)).item()
        for _ in range(DRAWS)
    ]
    return Effect(
        "random mask ratio from a generator seeded with 0 each step",
        f"different ratios in {DRAWS} steps; their range",
        f"{len(set(theirs))}; {min(theirs):.2f} to {max(theirs):.2f}",
        f"{len(set(ours))}; {min(ours):.2f} to {max(ours):.2f}",
    )


def _timing() -> Effect:
    """A 10 s clip, 16 frames, 4 s of sound each: where the segment's centre lies from its frame."""
    times, steps = frame_times(10.0, 16), 998
    clip, upstream = (segment_starts(times, steps, 416, timing) for timing in ("clip", "upstream"))

    def off(starts: list[int]) -> str:
        inner = [
            abs((start + 208) / 100 - time)
            for start, time in zip(starts, times, strict=True)
            if 2.08 <= time <= 7.9
        ]
        return f"{max(inner):.2f} s; {len(set(starts))}"

    return Effect(
        "segments on a 10.24 s grid, whatever the clip's length",
        "centre off its frame at most, away from the ends; different windows of 16",
        off(upstream),
        off(clip),
    )
