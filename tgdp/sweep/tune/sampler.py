"""What proposes the next point: TPE, or the grid that is enumerated here."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.declare import Study
from tgdp.sweep.tune.space import Point, grid, is_same

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

SamplerName = Literal["tpe", "grid"]


def build_sampler(seed: int) -> "BaseSampler":
    """Return TPE, for several trials at a time.

    Points of the grid are given to it, so it serves there too.

    Args:
        seed: Of its draws.
    """
    from optuna.samplers import TPESampler

    # Trials that run count as bad ones, so that those asked for together lie apart.
    return TPESampler(seed=seed, multivariate=True, constant_liar=True)


def next_of_grid(study: Study, trials: Iterable[Trial]) -> Point | None:
    """Return the first point of the grid that no trial has; None where none is left.

    optuna's own `GridSampler` cannot be asked and told: it raises on the last point.

    Args:
        study: The declaration.
        trials: All of it so far, imported ones too.
    """
    tried = [trial.point for trial in trials]
    return next((p for p in grid(study) if not any(is_same(p, one) for one in tried)), None)
