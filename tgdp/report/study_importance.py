"""How much each key of a study matters: the share of the variance that it explains (fANOVA)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tgdp.sweep.tune.book import Book
from tgdp.sweep.tune.task import Task

FEWEST = 10
"""Trials with values below which a forest of trees says nothing about six keys."""

Shares = Mapping[str, float]


@dataclass(frozen=True)
class Importances:
    """How much each key matters.

    Attributes:
        shares: For each objective that can be said of, its quantity: key -> share, largest first.
        trials: Trials that it is said from.
        notes: Why there is nothing, where there is nothing.
    """

    shares: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )
    trials: int = 0
    notes: tuple[str, ...] = ()


def importances(task: Task, book: Book) -> Importances:
    """Return how much each key matters for each objective.

    Args:
        task: The study.
        book: Its trials.

    Source: Hutter et al., An Efficient Approach for Assessing Hyperparameter Importance, 2014.
    """
    number = sum(trial.is_measured for trial in book.trials())
    if number < FEWEST:
        words = f"Importances: {number} trials with values are too few, {FEWEST} are needed."
        return Importances(trials=number, notes=(words,))
    shares: dict[str, Mapping[str, float]] = {}
    notes: list[str] = []
    for place, objective in enumerate(task.study.objectives):
        found = _shares(book, place)
        if found:
            shares[objective.quantity] = found
        else:
            notes.append(f"Importances: {objective.quantity} is the same in all trials.")
    return Importances(shares, number, tuple(notes))


def _shares(book: Book, objective: int) -> Mapping[str, float]:
    from optuna.importance import FanovaImportanceEvaluator

    try:
        # Seeded: the same trials give the same figure.
        return book.importances(objective, FanovaImportanceEvaluator(seed=0))
    except RuntimeError:  # No variance to explain.
        return {}
