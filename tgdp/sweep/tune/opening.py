"""A study opened to be worked on, or only to be looked at."""

from tgdp.sweep.tune.book import Book
from tgdp.sweep.tune.sampler import build_sampler
from tgdp.sweep.tune.storage import open_study, read_study
from tgdp.sweep.tune.task import Task


def open_book(task: Task, url: str | None = None) -> Book:
    """Return the trials of a study, which is made if it is not there yet.

    Args:
        task: The study; its seed is the sampler's.
        url: Of a database; a journal in the results folder if None.

    Raises:
        UserError: The storage cannot be opened.
    """
    known = read_book(task, url)
    # Otherwise one that goes on would draw its first points again.
    seed = task.base.seed + (len(known.trials()) if known else 0)
    return Book(task.study, open_study(task, url, build_sampler(seed)))


def read_book(task: Task, url: str | None = None) -> Book | None:
    """Return the trials of a study, or None where it is not there yet; nothing is written.

    Raises:
        UserError: The storage cannot be opened.
    """
    kept = read_study(task, url)
    return None if kept is None else Book(task.study, kept)
