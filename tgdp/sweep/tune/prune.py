"""Whether a trial is worth going on with, by what was measured of it and of others so far.

optuna has no pruning with several objectives, and a driver that was killed has told it nothing. So
the question is put to optuna's pruner over a study that is made anew from the run directories.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.sweep.scaling import steps_an_epoch
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.declare import RETRIEVAL, Objective
from tgdp.sweep.tune.live import Live
from tgdp.sweep.tune.task import Task, with_runtime
from tgdp.training.run_directory import RunDirectory

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

Curve = Mapping[int, float]
"""Mean R@1 by epoch."""

LOOKS = 8
"""Evaluations over the whole training, where nobody says how many."""

STARTUP = 4
"""Whole curves that must be there before anything is pruned."""

SPARED = 0.25
"""Share of the training before which nothing is pruned: there R@1 is little above chance."""


class Curves:
    """Reads what was measured in the middle of runs; a file that has not grown is not read again.

    Args:
        task: The study.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._read: dict[str, tuple[int, Curve]] = {}

    def of(self, run: RunDirectory, config: Config) -> Curve:
        """Return the curve of a run; empty where nothing was measured yet."""
        try:
            size = run.events_file.stat().st_size
        except FileNotFoundError:
            return {}
        if self._read.get(run.name, (-1, {}))[0] != size:
            self._read[run.name] = (size, self._curve(run, config))
        return self._read[run.name][1]

    def _curve(self, run: RunDirectory, config: Config) -> Curve:
        name = f"retrieval/{self._task.dataset}/mean_r1"
        an_epoch = _an_epoch(self._task, config)
        return {
            event["step"] // an_epoch: float(event["values"][name])
            for event in run.events()
            if event.get("kind") == "metric" and name in event["values"]
        }


class Judge:
    """Says which trials are not worth going on with.

    Args:
        task: The study.
        curves: Of its runs.
    """

    def __init__(self, task: Task, curves: Curves) -> None:
        self._task = task
        self._curves = curves
        self._whole: dict[int, Curve] = {}
        self._judged: dict[str, int] = {}

    def to_prune(self, live: Sequence[Live], trials: Sequence[Trial]) -> list[Live]:
        """Return which trials are to end; each is judged once an evaluation.

        Args:
            live: Those in work.
            trials: All of the study.
        """
        return [one for one in live if self._is_new(one) and self._is_bad(one, trials)]

    def _is_new(self, live: Live) -> bool:
        name = live.planned.cell.signature
        seen = len(self._curves.of(live.planned.run, live.planned.cell.config))
        is_new = live.is_training and not live.is_pruned and seen > self._judged.get(name, 0)
        if is_new:
            self._judged[name] = seen
        return is_new

    def _is_bad(self, live: Live, trials: Sequence[Trial]) -> bool:
        config = live.planned.cell.config
        curve = self._curves.of(live.planned.run, config)
        return would_prune(curve, self._whole_curves(trials), epochs_of(self._task, config))

    def _whole_curves(self, trials: Sequence[Trial]) -> list[Curve]:
        for trial in trials:
            if trial.is_measured and trial.number not in self._whole:
                cell = self._task.cell(trial.number, trial.point)
                run = self._task.planned(cell).run
                self._whole[trial.number] = self._curves.of(run, cell.config)
        return list(self._whole.values())


def would_prune(curve: Curve, others: Sequence[Curve], epochs: int) -> bool:
    """Return whether the best of a trial so far is below the median of the others at that epoch.

    Args:
        curve: Of the trial.
        others: Of trials that came to their end; those that were not measured do not count.
        epochs: Length of its training.
    """
    others = [other for other in others if other]
    if not curve or len(others) < STARTUP:
        return False
    import optuna
    from optuna.pruners import MedianPruner

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for other in others:
        study.add_trial(_trial(other, "COMPLETE"))
    # So many must have been measured at that very epoch, or the median is one of two.
    spared = round(SPARED * epochs)
    pruner = MedianPruner(STARTUP, n_warmup_steps=spared, n_min_trials=STARTUP)
    return pruner.prune(study, _trial(curve, "RUNNING"))


def epochs_of(task: Task, config: Config) -> int:
    """Return the length of a run in epochs."""
    training = config.training
    return training.epochs or (training.steps or 0) // _an_epoch(task, config)


def prepare(task: Task) -> tuple[Task, str]:
    """Return a study whose runs are measured on their way, and what was chosen, in words.

    Raises:
        UserError: Its first objective is not retrieval, or its runs are too short.
    """
    first = task.study.objectives[0]
    if not _is_retrieval(first):
        raise UserError(
            f"--prune: goes by R@1 on the way, and the first objective is '{first.quantity}' "
            f"({first.direction}); put '{RETRIEVAL}' (maximize) first, or take --no-prune"
        )
    every, epochs = task.base.runtime.evaluate_every, epochs_of(task, task.base)
    chosen = "" if every is not None else "; --set runtime.evaluate_every=N says otherwise"
    every = every or max(1, round(epochs / LOOKS))
    if every >= epochs:
        raise UserError(
            f"--prune: runs of {epochs} epochs are not measured before their end; make them "
            "longer, lower runtime.evaluate_every, or take --no-prune"
        )
    spared = round(SPARED * epochs)
    words = f"Pruning: R@1 is looked at every {every} of {epochs} epochs, from {spared} on{chosen}."
    return with_runtime(task, {"runtime.evaluate_every": every}), words


def _an_epoch(task: Task, config: Config) -> int:
    return max(1, steps_an_epoch(config, task.told.splits[config.data.train_split]))


def _is_retrieval(objective: Objective) -> bool:
    is_named = objective.quantity == RETRIEVAL or objective.quantity.startswith(f"{RETRIEVAL}/")
    return is_named and objective.direction == "maximize"


def _trial(curve: Curve, state: str) -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    value = curve[max(curve)] if state == "COMPLETE" else None
    return create_trial(
        state=TrialState[state], value=value, intermediate_values=dict(curve), params={}
    )
