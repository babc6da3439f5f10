"""What a study shows while it works: a live table in a terminal, plain lines everywhere else."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tgdp.sweep.live import REFRESH_PER_S, STOPPING
from tgdp.sweep.show import colored
from tgdp.sweep.state import read_state
from tgdp.sweep.tune.book import Book, Trial, counted
from tgdp.sweep.tune.live import Live
from tgdp.sweep.tune.rows import point_words, told
from tgdp.sweep.tune.task import Task

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

LEAVES = "Stopping: the jobs go on; the same command again takes them up."


class Lines:
    """One line when a trial begins, is to be pruned, or comes to an end.

    Args:
        console: Where.
        task: The study.
        book: Its trials.
        wanted: Trials that were asked for; None for a whole grid.
        goes_on: Whether the work goes on without this command.
    """

    def __init__(
        self, console: "Console", task: Task, book: Book, wanted: int | None, goes_on: bool
    ) -> None:
        self._console = console
        self._task = task
        self._book = book
        self._wanted = wanted
        self._stopping = LEAVES if goes_on else STOPPING
        self._said: dict[int, str] = {}

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def told(self, trial: Trial) -> None:
        """Print what became of a trial."""
        self._say(f"{_clock()} {trial.label}: {ending(self._task, trial)}")

    def update(self, live: Sequence[Live], stopping: bool) -> None:
        """Print what is new."""
        for one in live:
            word = _word(one)
            if self._said.get(one.trial.number) != word:
                self._said[one.trial.number] = word
                self._say(f"{_clock()} {one.trial.label} ({one.planned.run.name}): {word}")
        if stopping and self._said.get(-1) is None:
            self._said[-1] = "stopping"
            self._say(self._stopping)

    def overall(self, live: Sequence[Live]) -> str:
        """Return the line that stands for the whole study."""
        trials = self._book.trials()
        done = counted(trials) - len(live)
        parts = [f"{done} of {self._wanted} trials told" if self._wanted else f"{done} trials told"]
        parts.append(f"{len(live)} in work")
        best = self._book.best() if done else []
        if best:
            first = self._task.study.objectives[0].quantity
            trial = trials[best[0]]
            parts.append(f"best {first} {told(first, trial.values[0])} ({trial.label})")
        return ", ".join(parts)

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


class LiveTable(Lines):
    """A row for every trial in work, a line for the study; what ended is printed above it."""

    def __enter__(self) -> "LiveTable":
        from rich.live import Live as RichLive

        self._now: tuple[Live, ...] = ()
        self._is_stopping = False
        self._table = RichLive(
            console=self._console, get_renderable=self._draw, refresh_per_second=REFRESH_PER_S
        )
        self._table.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._now = ()
        self._table.__exit__(None, None, None)

    def update(self, live: Sequence[Live], stopping: bool) -> None:
        """Take note of how the trials are; they are drawn at the next turn."""
        self._now, self._is_stopping = tuple(live), stopping

    def _draw(self) -> "RenderableType":
        from rich import box
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("trial", "run", "state", "step", "R@1"):
            right = name in {"step", "R@1"}
            width = {"run": 12, "state": 11}.get(name)
            table.add_column(name, justify="right" if right else "left", min_width=width)
        table.add_column("where it lies")
        for one in self._now:
            status = read_state(one.planned.run)
            share = f"{100 * status.share:.0f} %" if status.total_steps else "-"
            best = "-" if one.best is None else f"{100 * one.best:.1f}"
            state = colored(_word(one))
            where = escape(point_words(one.trial.point))
            table.add_row(one.trial.label, one.planned.run.name, state, share, best, where)
        line = Text(self.overall(self._now))
        if self._is_stopping:
            return Group(table, line, Text(self._stopping, "yellow"))
        return Group(table, line) if self._now else line


def open_display(
    console: "Console", task: Task, book: Book, wanted: int | None, goes_on: bool
) -> Lines:
    """Return the display that fits where the output goes."""
    kind = LiveTable if console.is_terminal else Lines
    return kind(console, task, book, wanted, goes_on)


def ending(task: Task, trial: Trial) -> str:
    """Return what became of a trial, in words."""
    if trial.is_measured:
        pairs = zip(task.study.objectives, trial.values, strict=True)
        said = [f"{one.quantity} {told(one.quantity, value)}" for one, value in pairs]
        said += [f"breaks {name}" for name, excess in trial.excess.items() if excess > 0]
        return f"{trial.state}, {', '.join([*said, point_words(trial.point)])}"
    if trial.state == "pruned":
        return f"pruned after epoch {trial.pruning}, {point_words(trial.point)}"
    return f"{trial.state}: {trial.error}"


def _word(live: Live) -> str:
    if live.is_pruned:
        return "pruning"
    if live.work.phase == "elsewhere":
        return "run by another launch"
    return live.work.phase


def _clock() -> str:
    return time.strftime("%H:%M:%S")
