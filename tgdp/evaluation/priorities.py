"""How much attention each patch gets, and which would stay visible by it, as pictures."""

from collections.abc import Iterable

import torch
from torch import Tensor

from tgdp.config import Config, num_kept
from tgdp.errors import UserError
from tgdp.evaluation.picture_arrays import Priorities, RankedClip, Ranking
from tgdp.evaluation.picture_clips import Chosen, Wish, choose, noise_for
from tgdp.evaluation.stored import Stored
from tgdp.model.blocks import Direction
from tgdp.model.dual_path import Noise
from tgdp.model.encoder import Encoder, Pair
from tgdp.model.selection import select
from tgdp.model.teacher import teacher_pass
from tgdp.model.tokens import Grid, grids

DIRECTIONS: tuple[Direction, Direction] = ("cls_to_patch", "patch_to_cls")

RATIOS = (0.25, 0.5, 0.65, 0.75)
"""The contrastive ratios that the paper compares, but 0; method section 5."""


def priorities(
    stored: Stored,
    wish: Wish,
    ratios: tuple[float, ...] = RATIOS,
    directions: tuple[Direction, ...] = (),
) -> Priorities:
    """Return the priority of every patch of some clips, full view, and what it would keep.

    Args:
        stored: The run, on the CPU. Its teacher ranks; where it has none, the student's encoder.
        wish: Which clips.
        ratios: Share of the patches hidden, in [0, 1).
        directions: Of the attention; that of the configuration if none is given.

    Raises:
        UserError: The model has no CLS, the data cannot be read, a clip is not there, or a ratio
            leaves nothing visible.
    """
    config = stored.config
    _check(config, ratios)
    chosen = choose(stored, wish)
    ranker = stored.student.encoder if stored.teacher is None else stored.teacher
    directions = directions or (config.contrastive.mask.attention,)
    views = {one: _look(ranker, chosen, one) for one in directions}
    ranked = {one: _rank(config, view, ratios) for one, view in views.items()}
    clips = [
        RankedClip(shown, one, *ranked[one][row])
        for row, shown in enumerate(chosen.shown)
        for one in directions
    ]
    return Priorities(
        chosen.source,
        tuple(clips),
        ratios,
        "student" if stored.teacher is None else "teacher",
        _own_rule(config),
        _mean_overlap(views.values(), noise_for(config.seed, chosen.shown)),
    )


def overlap(priority: Tensor, noise: Tensor) -> Tensor:
    """Return the share of the true top half that the released code's shuffled ranks keep, (B,).

    Args:
        priority: Natural patch order, (B, N).
        noise: Uniform in [0, 1), (B, 2 N).

    Source: method section 6, defect 2.
    """
    true = ~select("guided", priority, noise, 0.5).masked
    released = ~select("guided_shuffled", priority, noise, 0.5).masked
    return (true & released).sum(dim=1) / true.sum(dim=1)


def _mean_overlap(views: Iterable[Pair], noise: Noise) -> float:
    found = [
        overlap(priority, noise(f"released/{modality}", 2 * priority.shape[1]))
        for view in views
        for modality, priority in view._asdict().items()
    ]
    return float(torch.cat(found).mean())


def _look(ranker: Encoder, chosen: Chosen, direction: Direction) -> Pair:
    view = teacher_pass(ranker, chosen.audio, chosen.image, direction, with_vectors=False)
    if view.priority is None:
        raise RuntimeError("the ranker gave no priority")
    return view.priority


def _rank(config: Config, view: Pair, ratios: tuple[float, ...]) -> list[tuple[Ranking, Ranking]]:
    """Return (frame, spectrogram) of every clip."""
    grid = grids(config)
    images = _rankings(view.image, grid.image, ratios)
    return list(zip(images, _rankings(view.audio, grid.audio, ratios), strict=True))


def _rankings(priority: Tensor, grid: Grid, ratios: tuple[float, ...]) -> list[Ranking]:
    relative = (priority / priority.mean(dim=1, keepdim=True)).unflatten(1, tuple(grid))
    # The rule 'guided' draws nothing.
    nothing = priority.new_zeros(len(priority), 2 * priority.shape[1])
    masked = [select("guided", priority, nothing, ratio).masked for ratio in ratios]
    kept = ~torch.stack(masked, dim=1).unflatten(2, tuple(grid))
    return [Ranking(one.numpy(), cells.numpy()) for one, cells in zip(relative, kept, strict=True)]


def _check(config: Config, ratios: tuple[float, ...]) -> None:
    if config.model.pooling == "mean":
        raise UserError(
            "model.pooling 'mean': this run has no CLS token, and a priority is the attention "
            "between the CLS and a patch"
        )
    fewest = min(grid.num_patches for grid in grids(config))
    for ratio in ratios:
        if not 0 <= ratio < 1 or num_kept(fewest, ratio) < 1:
            raise UserError(
                f"--ratios {ratio:g}: the share of hidden patches must be at least 0 and leave "
                f"one of {fewest} visible"
            )


def _own_rule(config: Config) -> str:
    mask = config.contrastive.mask
    return f"{mask.selection} at ratio {mask.ratio:g}" if config.contrasts else "none"
