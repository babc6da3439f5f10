"""The loop of a study: ask for points, have their runs done, prune, tell what they are worth.

What a trial's run came to is read from its directory, so a command that ends in the middle, in
whatever way, is followed by one that finds everything where it was.
"""

import re
import time

from tgdp.errors import UserError
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.records import note
from tgdp.sweep.stop import stop_on_signals
from tgdp.sweep.tune.book import PRUNING, RUN, Book, Trial, counted
from tgdp.sweep.tune.live import Ending, Live, Observer, Wish
from tgdp.sweep.tune.measure import measure
from tgdp.sweep.tune.prune import Curves, Judge
from tgdp.sweep.tune.sampler import next_of_grid
from tgdp.sweep.tune.space import Point
from tgdp.sweep.tune.task import Task
from tgdp.sweep.tune.workers import Work, Workers
from tgdp.training.run_directory import ENDED_BADLY, State

SAME_ERRORS = 3
"""Trials in a row that fail alike: the next ones would too."""

MOST_REFUSED = 50
"""Points in a row that the configuration refuses: the space holds hardly any that it takes."""

NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


class Driver:
    """Works on a study until it has the trials that it shall have.

    Args:
        task: The study.
        book: Its trials.
        workers: Who does the runs.
        wish: How many, proposed by what.
        observer: Shows it.
    """

    def __init__(
        self, task: Task, book: Book, workers: Workers, wish: Wish, observer: Observer
    ) -> None:
        self._task = task
        self._book = book
        self._workers = workers
        self._wish = wish
        self._observer = observer
        self._live: list[Live] = []
        self._curves = Curves(task)
        self._judge = Judge(task, self._curves)
        self._errors: list[str] = []
        self._given_up = ""

    def run(self) -> Ending:
        """Work until all is told, or somebody stops it.

        Raises:
            UserError: A quantity is not to be had, or a cluster refuses a job.
        """
        with stop_on_signals(self._workers.stop):
            try:
                self._take_up()
                while self.turn():
                    time.sleep(self._workers.pause_s)
            except KeyboardInterrupt:
                self._workers.kill()
        if self._given_up:
            return Ending("given up", self._given_up)
        return Ending("stopped" if self._workers.stop() else "all told")

    def turn(self) -> bool:
        """Do what there is to do; return whether anything is left."""
        is_stopping = self._workers.stop()
        if not is_stopping:
            self._fill()
        at_work = self._workers.turn()
        self._look()
        if self._wish.prune and not is_stopping:
            self._prune()
        self._observer.update(self._live, self._workers.stop())
        if self._workers.stop():
            return at_work
        return bool(self._live) or self._wants_more()

    def _take_up(self) -> None:
        """Go on with trials that an earlier command asked for and told nothing of."""
        self._book.drop_half_asked()
        for trial in self._book.trials():
            if trial.state == "running":
                self._begin(trial)

    def _fill(self) -> None:
        refused = 0
        while len(self._live) < self._workers.at_once and self._wants_more():
            point = None
            if self._wish.sampler == "grid":
                point = next_of_grid(self._task.study, self._book.trials())
            if not self._begin(self._book.ask(point)):
                refused += 1
                if refused >= MOST_REFUSED:
                    self._give_up(f"the configuration refused {refused} points in a row")
            # One that was done already is told now, so that the sampler knows it.
            self._look()
            if self._workers.stop():
                return

    def _wants_more(self) -> bool:
        if self._given_up:
            return False
        trials = self._book.trials()
        if self._wish.trials is not None and counted(trials) >= self._wish.trials:
            return False
        is_grid = self._wish.sampler == "grid"
        return not is_grid or next_of_grid(self._task.study, trials) is not None

    def _begin(self, trial: Trial) -> bool:
        """Have the run of a trial done; return whether there is such a run."""
        planned = self._planned(trial.number, trial.point)
        if planned is None:
            return False
        name = planned.cell.signature
        if trial.run != name:
            self._book.note(trial.number, RUN, name)
        cells = (planned.cell,)
        note(self._task.results, self._task.sweep(cells), cells, self._task.words)
        live = Live(trial, planned, Work("waiting", planned.status))
        live.is_pruned = trial.pruning is not None
        self._live.append(live)
        if planned.state in ("done", *ENDED_BADLY):
            live.work = Work("over", planned.status, planned.status.error)
            return True
        self._workers.add(planned)
        if live.is_pruned:
            self._workers.end(name)
        return True

    def _planned(self, number: int, point: Point) -> PlannedRun | None:
        try:
            return self._task.planned(self._task.cell(number, point))
        except UserError as error:
            self._book.refuse(number, str(error))
            self._told(number)
            return None

    def _look(self) -> None:
        for live in tuple(self._live):
            name = live.planned.cell.signature
            if live.work.phase != "over":
                live.work = self._workers.look(name)
                curve = self._curves.of(live.planned.run, live.planned.cell.config)
                live.best = max(curve.values(), default=None)
            if live.work.phase == "over" and self._is_to_be_told(live):
                self._live.remove(live)
                self._tell(live)
                self._told(live.trial.number)

    def _is_to_be_told(self, live: Live) -> bool:
        # What was stopped with the command goes on with the next one.
        is_settled = live.work.status.state in ("done", *ENDED_BADLY)
        return is_settled or live.is_pruned or not self._workers.stop()

    def _tell(self, live: Live) -> None:
        number, run, work = live.trial.number, live.planned.run, live.work
        if work.status.state == "done":
            self._complete(number, live)
        elif live.is_pruned and work.status.state not in ENDED_BADLY:
            self._book.prune(number, self._curves.of(run, live.planned.cell.config))
            self._errors.clear()
        else:
            error = work.error or _unsaid(work.status.state)
            self._book.fail(number, error)
            self._failed(error)

    def _complete(self, number: int, live: Live) -> None:
        self._book.complete(number, measure(self._task.study, live.planned.run, self._task.dataset))
        self._errors.clear()

    def _failed(self, error: str) -> None:
        # The values of the trial are in the message of many an error.
        self._errors.append(NUMBER.sub("#", error))
        newest = self._errors[-SAME_ERRORS:]
        if len(newest) == SAME_ERRORS and len(set(newest)) == 1:
            self._give_up(f"{SAME_ERRORS} trials in a row failed with the same error: {error}")

    def _give_up(self, words: str) -> None:
        self._given_up = self._given_up or words

    def _told(self, number: int) -> None:
        self._observer.told(self._book.trials()[number])

    def _prune(self) -> None:
        for live in self._judge.to_prune(self._live, self._book.trials()):
            live.is_pruned = True
            curve = self._curves.of(live.planned.run, live.planned.cell.config)
            # Before the job is told: whoever finds it stopped must know why.
            self._book.note(live.trial.number, PRUNING, max(curve))
            self._workers.end(live.planned.cell.signature)


def _unsaid(state: State) -> str:
    """Return how a run ended that says no word of it itself."""
    return "its job ended before tgdp began" if state == "new" else f"its run was left {state}"
