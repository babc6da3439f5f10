"""A study in words: what it is, how far it came, which trials are the best."""

from collections import Counter
from typing import TYPE_CHECKING

from tgdp.cli.next_command import in_results
from tgdp.sweep.tune.book import Book, counted
from tgdp.sweep.tune.declare import Choice, Parameter
from tgdp.sweep.tune.live import Wish
from tgdp.sweep.tune.rows import point_words, told, word
from tgdp.sweep.tune.space import grid_size
from tgdp.sweep.tune.storage import place
from tgdp.sweep.tune.task import Task

if TYPE_CHECKING:
    from rich.table import Table

MOST_ERRORS = 5


def describe(task: Task, book: Book | None, storage: str | None, wish: Wish) -> list[str]:
    """Return what a study is, where it is kept, and how far it came.

    Args:
        task: The study.
        book: Its trials; None where it has none yet.
        storage: URL of a database; a journal if None.
        wish: How it is to be worked on.
    """
    study = task.study
    sought = [f"{one.quantity} ({one.direction})" for one in study.objectives]
    lines = [f"Study {task.name}: {study.question}", f"Base: {task.words}."]
    lines += [f"  {_space(parameter)}" for parameter in study.space]
    lines.append(f"Objectives: {', '.join(sought)}.")
    if study.constraints:
        lines.append(f"Constraints: {', '.join(one.name for one in study.constraints)}.")
    is_new = "" if book else " (new)"
    lines.append(f"Storage: {place(task, storage)}{is_new}")
    return [*lines, _progress(book, wish), *_grid(task, wish)]


def best_table(task: Task, book: Book) -> "Table":
    """Return the table of the best trial, or of those on the Pareto front."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    study, trials = task.study, book.trials()
    title = "Pareto front" if len(study.objectives) > 1 else "Best trial"
    table = Table(title=f"{title} of {task.name}", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("trial", "run", *(one.quantity for one in study.objectives)):
        is_name = name in {"trial", "run"}
        table.add_column(name, justify="left" if is_name else "right", no_wrap=True)
    table.add_column("where it lies", overflow="fold")
    for number in book.best():
        trial = trials[number]
        pairs = zip(study.objectives, trial.values, strict=True)
        values = [told(one.quantity, value) for one, value in pairs]
        where = escape(point_words(trial.point))
        table.add_row(f"{trial.label}{' *' * trial.imported}", trial.run, *values, where)
    if any(trials[number].imported for number in book.best()):
        table.caption = "* a run of a sweep, imported"
        table.caption_justify = "left"
    return table


def ended(task: Task, book: Book) -> list[str]:
    """Return which trials failed or were refused, and why; of many the newest."""
    bad = [trial for trial in book.trials() if trial.state in {"failed", "refused"}]
    lines = [
        f"{trial.label} {trial.state}: {trial.error}"
        + f" ({in_results(f'tgdp-sweep logs {trial.run}', task.results)})" * bool(trial.run)
        for trial in bad[-MOST_ERRORS:]
    ]
    more = len(bad) - len(lines)
    return [f"{more} more failed or were refused; --json has them.", *lines] if more else lines


def _progress(book: Book | None, wish: Wish) -> str:
    trials = book.trials() if book else []
    states = Counter(trial.state for trial in trials if not trial.imported)
    shown = ", ".join(f"{number} {state}" for state, number in states.items()) or "none"
    imported = sum(trial.imported for trial in trials)
    past = f", and {imported} imported" if imported else ""
    left = "" if wish.trials is None else f"; {max(0, wish.trials - counted(trials))} to go"
    return f"Trials so far: {shown}{past}{left}."


def _grid(task: Task, wish: Wish) -> list[str]:
    if wish.sampler != "grid":
        return []
    return [f"Grid of {grid_size(task.study):,} points; those that are there are not run again."]


def _space(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return f"{parameter.key}: {' | '.join(map(word, parameter.values))}"
    step = f", step {parameter.step:g}" if parameter.step is not None else ""
    log = ", log" if parameter.log else ""
    return f"{parameter.key}: {parameter.low:g} .. {parameter.high:g}{step}{log}"
