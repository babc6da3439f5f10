"""The learning rate of a probe, chosen on clips held out of its training split."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from tgdp.errors import UserError
from tgdp.evaluation.probe.fit import Examples, fit, mean_loss, predict
from tgdp.evaluation.probe.intervals import fast_average_precision
from tgdp.evaluation.probe.metrics import ranks_of_truth
from tgdp.evaluation.probe.settings import ProbeSettings, Task

MIN_CLIPS = 8
"""Fewer training clips are refused: the held-out part would be one clip."""


class Choice(NamedTuple):
    """The rate, and what every rate was worth on the held-out clips.

    Attributes:
        rate: The best one; of equal ones that with the lowest loss on these clips.
        scores: Top-1 or mAP over the classes present, by rate; None where training diverged.
        num_held_out: Clips it was chosen on.
    """

    rate: float
    scores: dict[float, float | None]
    num_held_out: int


def held_out_rows(ids: Sequence[str], fraction: float) -> NDArray[np.bool_]:
    """Return which clips are held out: those whose ids have the smallest hashes.

    Args:
        ids: Training clips, in any order.
        fraction: How many, 0 to 1; at least one clip is held out and one is not.

    Raises:
        UserError: There are too few clips.
    """
    if len(ids) < MIN_CLIPS:
        raise UserError(
            f"probe: {len(ids)} training clips; a learning rate cannot be chosen on part of "
            f"fewer than {MIN_CLIPS}"
        )
    hashes = [hashlib.sha256(clip.encode()).digest() for clip in ids]
    count = min(max(1, round(fraction * len(ids))), len(ids) - 1)
    held = np.zeros(len(ids), np.bool_)
    held[sorted(range(len(ids)), key=hashes.__getitem__)[:count]] = True
    return held


def choose_rate(
    examples: Examples,
    ids: Sequence[str],
    settings: ProbeSettings,
    device: torch.device,
    done: Callable[[], None],
) -> Choice:
    """Return the learning rate whose probe is best on held-out training clips, by the first seed.

    Args:
        examples: Training clips; no test clip comes here.
        ids: Their ids.
        settings: The rates, and how a probe is trained.
        device: Where.
        done: Called after each rate.

    Raises:
        UserError: There are too few clips, no held-out clip has a label, or every rate diverged.
    """
    held = held_out_rows(ids, settings.held_out)
    seen, kept = np.flatnonzero(~held), np.flatnonzero(held)
    if settings.task == "multilabel" and not examples.targets[kept].any():
        raise UserError(f"probe: none of the {len(kept)} held-out training clips has a label")
    scores: dict[float, float | None] = dict.fromkeys(settings.grid)
    merits: dict[float, tuple[float, float]] = {}
    for rate in settings.grid:
        probe = fit(examples, seen, rate, settings.seeds[0], settings, device)
        logits = predict(probe, examples.inputs, kept, device)
        if np.isfinite(logits).all():
            score = _score(settings.task, examples.targets[kept], logits)
            loss = mean_loss(settings.task, logits, examples.targets[kept])
            scores[rate], merits[rate] = score, (score, -loss)
        done()
    if not merits:
        raise UserError(f"probe: training diverged at every rate of {list(settings.grid)}")
    return Choice(max(merits, key=merits.__getitem__), scores, len(kept))


def _score(task: Task, targets: NDArray[Any], logits: NDArray[np.float32]) -> float:
    if task == "singlelabel":
        return float((ranks_of_truth(targets, logits) == 1).mean())
    once = np.ones((len(targets), 1), np.uint16)
    by_class = [
        fast_average_precision(targets[:, c], logits[:, c], once)[0]
        for c in np.flatnonzero(targets.any(axis=0))
    ]
    return float(np.mean(by_class))
