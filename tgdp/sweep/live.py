"""What a running sweep shows: a live table in a terminal, plain lines everywhere else."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from tgdp.sweep.entry import Entry
from tgdp.sweep.plan import Plan
from tgdp.sweep.show import clock, colored
from tgdp.training.run_directory import Status

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PLAIN_EVERY_S = 30.0
REFRESH_PER_S = 4
STOPPING = "Stopping: every run ends its step and saves. Ctrl-C again ends them at once."


class Display(Protocol):
    """Shows a queue while it works."""

    def __enter__(self) -> "Display": ...

    def __exit__(self, *error: object) -> None: ...

    def update(self, entries: list[Entry], stopping: bool = False) -> None:
        """Take note of the newest states, and of whether somebody asked to stop."""
        ...


def open_display(console: "Console", plan: Plan, jobs: int) -> Display:
    """Return the display that fits where the output goes."""
    return (
        LiveTable(console, plan, jobs) if console.is_terminal else PlainLines(console, plan, jobs)
    )


class LiveTable:
    """A table that is drawn again and again: a row for every run in work, a line for all.

    It reads the states itself when it draws, so that it moves while `--cluster debug` works in the
    very thread that the queue runs in.
    """

    def __init__(self, console: "Console", plan: Plan, jobs: int) -> None:
        from rich.live import Live

        self._plan = plan
        self._jobs = jobs
        self._entries: list[Entry] = []
        self._stopping = False
        self._live = Live(
            console=console, get_renderable=self._draw, refresh_per_second=REFRESH_PER_S
        )

    def __enter__(self) -> "LiveTable":
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def update(self, entries: list[Entry], stopping: bool = False) -> None:
        """Take note of the newest states; they are drawn at the next turn."""
        self._entries, self._stopping = entries, stopping

    def _draw(self) -> "RenderableType":
        from rich import box
        from rich.console import Group
        from rich.markup import escape
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD)
        for name in ("row", "seed", "state", "step", "loss", "samples/s", "data wait", "left"):
            table.add_column(name, justify="left" if name in {"row", "state"} else "right")
        in_work = [entry for entry in self._entries if entry.phase in {"running", "elsewhere"}]
        for entry in in_work:
            entry.look()
            cell = entry.planned.cell
            table.add_row(escape(cell.variant.label), str(cell.seed), *_columns(entry))
        line = Text(overall(self._plan, self._entries, self._jobs))
        if not in_work:
            return line
        return (
            Group(table, line, Text(STOPPING, "yellow")) if self._stopping else Group(table, line)
        )


class PlainLines:
    """One line when a run changes its state, and one for all every half minute."""

    def __init__(self, console: "Console", plan: Plan, jobs: int) -> None:
        self._console = console
        self._plan = plan
        self._jobs = jobs
        self._seen: dict[str, str] = {}
        self._stopping = False
        self._next = time.monotonic() + PLAIN_EVERY_S

    def __enter__(self) -> "PlainLines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, entries: list[Entry], stopping: bool = False) -> None:
        """Print what changed."""
        if stopping and not self._stopping:
            self._stopping = True
            self._say(STOPPING)
        changed = [entry for entry in entries if self._is_new(entry)]
        for entry in changed:
            self._say(_sentence(entry))
        if time.monotonic() >= self._next:
            for entry in entries:
                if entry.phase == "running" and entry not in changed:
                    self._say(_sentence(entry))
            self._next = time.monotonic() + PLAIN_EVERY_S
            self._say(overall(self._plan, entries, self._jobs))

    def _is_new(self, entry: Entry) -> bool:
        name, word = entry.planned.cell.signature, word_of(entry)
        # What was interrupted or trained long ago is no news while it waits.
        former = self._seen.setdefault(name, word if entry.phase == "waiting" else "waiting")
        self._seen[name] = word
        return word != former

    def _say(self, text: str) -> None:
        # soft_wrap: a line of a log is one line, however wide the terminal is thought to be.
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)


def word_of(entry: Entry) -> str:
    """Return the state of an entry in one word."""
    if entry.phase == "over":
        return _last_word(entry)
    if entry.phase == "running":
        return _work_of(entry)
    if entry.phase == "waiting" and entry.status.state in {"interrupted", "trained"}:
        return entry.status.state
    return entry.phase


def _last_word(entry: Entry) -> str:
    if entry.status.state == "done" and entry.error:
        return "probe failed"
    return "failed" if entry.status.state == "new" else entry.status.state


def _work_of(entry: Entry) -> str:
    status, stage = entry.status, entry.stage
    if stage is not None and stage.is_probing:
        return "probing"
    # Until its process has written a first word, the status is still that of the last attempt.
    if status.attempt == entry.former_attempt:
        return "starting"
    if stage is not None and stage.leaves == "trained":
        return "running"
    return "evaluating" if 0 < status.total_steps <= status.step else "running"


def overall(plan: Plan, entries: list[Entry], jobs: int) -> str:
    """Return the line that stands for the whole sweep, for example `7/10 done, 2 running`."""
    phases = Counter(entry.phase for entry in entries)
    failed = sum(entry.failed for entry in entries)
    done = [entry for entry in entries if entry.status.state == "done"]
    before = sum(entry.planned.state == "done" for entry in entries)  # here for their probes
    number = plan.counts()["done"] - before + len(done)
    parts = [f"{number}/{len(plan.runs)} done", f"{phases['running']} running"]
    if phases["elsewhere"]:
        parts.append(f"{phases['elsewhere']} run by another launch")
    if failed:
        parts.append(f"{failed} failed")
    if probed := sum(entry.phase != "over" for entry in done):
        parts.append(f"{probed} to be probed")
    left = _seconds_left(plan, entries, jobs)
    if left is not None:
        parts.append(f"about {clock(left)} left")
    return ", ".join(parts)


def remaining(entry: Entry) -> float | None:
    """Return the seconds a run in work still needs, from its pace since this launch saw it."""
    since, first_step = entry.started
    taken, status = entry.status.step - first_step, entry.status
    if entry.phase not in {"running", "elsewhere"} or taken <= 0 or not status.total_steps:
        return None
    return (time.monotonic() - since) / taken * (status.total_steps - status.step)


def _seconds_left(plan: Plan, entries: list[Entry], jobs: int) -> float | None:
    paces = {entry.planned.cell.signature: remaining(entry) for entry in entries}
    whole = plan.estimate.seconds or _whole_run(entries)
    if whole is None:
        return None
    left = [
        paces[entry.planned.cell.signature] or whole * (1 - entry.status.share)
        for entry in entries
        if entry.phase != "over"
    ]
    # Of what is left when all is trained, nobody knows how long it takes.
    return (max(sum(left) / jobs, *left) or None) if left else 0.0


def _whole_run(entries: list[Entry]) -> float | None:
    for entry in entries:
        pace, status = remaining(entry), entry.status
        if pace and status.total_steps > status.step:
            return pace * status.total_steps / (status.total_steps - status.step)
    return None


def _columns(entry: Entry) -> tuple[str, ...]:
    status, word = entry.status, word_of(entry)
    return (
        "by another launch" if entry.phase == "elsewhere" else colored(word),
        f"{status.step}/{status.total_steps}" if status.total_steps else "-",
        "-" if status.loss is None else f"{status.loss:.3f}",
        _speed(status),
        "-" if status.data_wait is None else f"{100 * status.data_wait:.0f} %",
        clock(remaining(entry)),
    )


def _speed(status: Status) -> str:
    if status.samples_per_s is None:
        return "-"
    share = "" if status.mfu is None else f" (MFU {100 * status.mfu:.0f} %)"
    return f"{status.samples_per_s:.0f}{share}"


def _sentence(entry: Entry) -> str:
    cell, status = entry.planned.cell, entry.status
    parts = [f"{time.strftime('%H:%M:%S')} {cell.variant.label} seed {cell.seed}: {word_of(entry)}"]
    if entry.phase == "elsewhere":
        # The process in the status of a run that is done is not the one that probes it.
        process = "" if status.state == "done" else f" (process {status.pid})"
        parts = [f"{parts[0]}, run by another launch{process}"]
    if status.total_steps:
        parts.append(f"step {status.step}/{status.total_steps}")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if entry.error:
        parts.append(entry.error)
    return ", ".join(parts)
