"""The trials of a study: asked, told, and read back, whatever became of who asked for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tgdp.sweep.tune.declare import Study
from tgdp.sweep.tune.measure import Measured
from tgdp.sweep.tune.space import Point, distributions
from tgdp.sweep.tune.storage import Kept
from tgdp.sweep.tune.task import label

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

State = Literal["waiting", "running", "complete", "infeasible", "pruned", "failed", "refused"]

RUN, ERROR, REFUSED, IMPORTED, PRUNING = "run", "error", "refused", "imported", "pruning"
"""Names of what is noted with a trial."""

HALF_ASKED = "the command ended while it was asking for this trial"


@dataclass(frozen=True)
class Trial:
    """A trial as it stands in the storage.

    Attributes:
        number: From 0.
        state: `waiting`: a point of the grid that was written down, and never begun; `running`:
            told nothing yet; `complete`; `infeasible`: complete, but it breaks a
            constraint; `pruned`; `failed`; `refused`: the configuration has no such point.
        point: Where it lies in the space.
        values: Of the objectives; none unless it came to its end.
        run: Signature of its run.
        imported: Whether its run was there before.
        pruning: Epoch after which it was decided to prune it; None where it was not.
        error: Why it failed or was refused.
        excess: By how much each constraint is broken.
    """

    number: int
    state: State
    point: Point
    values: tuple[float, ...] = ()
    run: str = ""
    imported: bool = False
    pruning: int | None = None
    error: str = ""
    excess: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def label(self) -> str:
        """What it is called."""
        return label(self.number)

    @property
    def is_measured(self) -> bool:
        """Whether it came to its end, and has values."""
        return bool(self.values)

    def value(self, objective: int) -> float:
        """Return what it came to for one objective, counted from 0."""
        return self.values[objective]

    @property
    def counts(self) -> bool:
        """Whether it is one of those that were asked for."""
        return self.state not in {"refused", "waiting"} and not self.imported


class Book:
    """Reads and writes the trials of a study.

    Args:
        study: The declaration.
        kept: Where they are.
    """

    def __init__(self, study: Study, kept: Kept) -> None:
        self._study = study
        self._kept = kept
        self._distributions = distributions(study)
        self._trials: list[Trial] | None = None

    def trials(self) -> list[Trial]:
        """Return every trial, by number; nobody else writes while this command does."""
        if self._trials is None:
            found = self._kept.study.get_trials(deepcopy=False)
            self._trials = [_read(trial) for trial in found]
        return self._trials

    def best(self) -> list[int]:
        """Return the numbers of the best trial, or of those on the Pareto front, best first."""
        maximize = self._study.objectives[0].direction == "maximize"
        front = self._kept.study.best_trials
        front.sort(key=lambda trial: trial.values[0], reverse=maximize)
        alone = len(self._study.objectives) == 1
        return [trial.number for trial in (front[:1] if alone else front)]

    def importances(self, objective: int, evaluator: Any = None) -> dict[str, float]:
        """Return how much each key matters for one objective, the most important first.

        Args:
            objective: Which, from 0.
            evaluator: Of `optuna.importance`.
        """
        from optuna.importance import get_param_importances

        return get_param_importances(
            self._kept.study, evaluator=evaluator, target=lambda trial: trial.values[objective]
        )

    def ask(self, point: Point | None = None) -> Trial:
        """Return a new trial.

        Args:
            point: Where it is to lie; the sampler decides if None.
        """
        from optuna.trial import TrialState

        study, self._trials = self._kept.study, None
        # One that was written down and never begun comes first, whoever is asked for.
        if point is not None and not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial(dict(point))
        asked = study.ask(self._distributions)
        return Trial(asked.number, "running", asked.params)

    def drop_half_asked(self) -> None:
        """Tell the end of trials whose point was never written down whole."""
        for trial in self.trials():
            if trial.state == "running" and trial.point.keys() != self._distributions.keys():
                self.refuse(trial.number, HALF_ASKED)

    def note(self, number: int, name: str, value: Any) -> None:
        """Keep a word with a trial."""
        self._trials = None
        self._kept.storage.set_trial_user_attr(self._kept.trial_id(number), name, value)

    def complete(self, number: int, measured: Measured) -> None:
        """Tell what a trial is worth."""
        from optuna.trial import Trial as OptunaTrial

        self._trials = None
        trial = OptunaTrial(self._kept.study, self._kept.trial_id(number))
        known = self._kept.storage.get_trial(self._kept.trial_id(number)).constraints
        for name, excess in measured.excess.items():
            # Whoever told this before may have been killed in the middle.
            if name not in known:
                trial.set_constraint(name, excess)
        self._kept.study.tell(number, list(measured.values))

    def prune(self, number: int, curve: Mapping[int, float]) -> None:
        """Tell that a trial was not worth going on with.

        Args:
            number: Of the trial.
            curve: What was measured of it, by epoch.
        """
        from optuna.trial import TrialState

        self._trials = None
        # With several objectives optuna refuses intermediate values, and fails on stored ones.
        if len(self._study.objectives) == 1:
            for epoch, value in curve.items():
                identifier = self._kept.trial_id(number)
                self._kept.storage.set_trial_intermediate_value(identifier, epoch, value)
        self._kept.study.tell(number, state=TrialState.PRUNED)

    def fail(self, number: int, error: str) -> None:
        """Tell that a trial's run failed."""
        from optuna.trial import TrialState

        self.note(number, ERROR, error)
        self._kept.study.tell(number, state=TrialState.FAIL)

    def refuse(self, number: int, error: str) -> None:
        """Tell that a trial has no run: it does not count among those asked for."""
        self.note(number, REFUSED, True)
        self.fail(number, error)

    def import_run(self, point: Point, run: str, measured: Measured) -> None:
        """Add a run that was done before as a trial that is complete."""
        from optuna.trial import create_trial

        self._trials = None
        self._kept.study.add_trial(
            create_trial(
                params=dict(point),
                distributions=self._distributions,
                values=list(measured.values),
                constraints=dict(measured.excess),
                user_attrs={RUN: run, IMPORTED: True},
            )
        )


def counted(trials: Sequence[Trial]) -> int:
    """Return how many of some trials are of those asked for."""
    return sum(trial.counts for trial in trials)


def _read(trial: "FrozenTrial") -> Trial:
    noted, excess = trial.user_attrs, trial.constraints
    return Trial(
        trial.number,
        _state(trial),
        trial.params,
        # One that was pruned has what it came to as its value.
        tuple(trial.values or ()) if trial.state.name == "COMPLETE" else (),
        str(noted.get(RUN, "")),
        bool(noted.get(IMPORTED)),
        noted.get(PRUNING),
        str(noted.get(ERROR, "")),
        excess,
    )


def _state(trial: "FrozenTrial") -> State:
    if trial.state.name == "COMPLETE":
        broken = any(excess > 0 for excess in trial.constraints.values())
        return "infeasible" if broken else "complete"
    if trial.state.name == "FAIL":
        return "refused" if trial.user_attrs.get(REFUSED) else "failed"
    words: dict[str, State] = {"PRUNED": "pruned", "WAITING": "waiting"}
    return words.get(trial.state.name, "running")
