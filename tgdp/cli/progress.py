"""Progress over many clips: a bar where someone watches, a line now and then in a log."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 30.0


class ClipProgress:
    """Shows clips done, failures, clips a second and the time left, on stderr.

    Args:
        title: What is being done, one word.
        noun: What is counted as gone wrong; None where nothing is.
    """

    def __init__(self, title: str, noun: str | None = "failed") -> None:
        self.title = title
        self.noun = noun
        self.console = Console(stderr=True, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._spoke = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeRemainingColumn(),
                console=self.console,
            )
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: int, total: int, *, failures: int = 0, rate: float = 0.0) -> None:
        """Show a new state.

        Args:
            done: Clips done.
            total: Clips to do.
            failures: Clips that gave no sample.
            rate: Clips a second; 0 while not known.
        """
        counted = [f"{failures} {self.noun}"] if self.noun else []
        note = ", ".join(counted + ([f"{rate:.1f} clips/s"] if rate else []))
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task(self.title, total=total, note=note)
            self._bar.update(self._task, completed=done, total=total, note=note)
        elif time.monotonic() - self._spoke > SECONDS_BETWEEN_LINES:
            self._spoke = time.monotonic()
            left = f", {_duration((total - done) / rate)} left" if rate else ""
            text = f"{self.title}: {done:,} of {total:,} clips{note and ', '}{note}{left}"
            self.console.print(text, markup=False, highlight=False)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
