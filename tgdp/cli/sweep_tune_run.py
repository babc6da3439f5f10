"""What `tgdp-sweep tune` does, once its words are read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.text import Text

from tgdp.cli.next_command import in_results
from tgdp.cli.prepare_embedded import ensure_embedded
from tgdp.cli.sweep_run import say
from tgdp.cli.sweep_tune_show import best_table, describe, ended
from tgdp.cli.sweep_tune_slurm import cluster_workers
from tgdp.errors import UserError
from tgdp.sweep.discover import load_study
from tgdp.sweep.launch import FAILED, STOPPED
from tgdp.sweep.machine import list_gpus, share_out
from tgdp.sweep.plan import check_writable
from tgdp.sweep.resolve import Words
from tgdp.sweep.stages import IN_TWO, Stages
from tgdp.sweep.tune.book import Book
from tgdp.sweep.tune.driver import Driver
from tgdp.sweep.tune.live import Ending, Wish
from tgdp.sweep.tune.lock import hold_study
from tgdp.sweep.tune.measure import no_gpu, wants_gpu
from tgdp.sweep.tune.opening import open_book, read_book
from tgdp.sweep.tune.past import bring, importable
from tgdp.sweep.tune.prune import prepare
from tgdp.sweep.tune.rows import rows
from tgdp.sweep.tune.sampler import SamplerName
from tgdp.sweep.tune.show import open_display
from tgdp.sweep.tune.space import grid_size
from tgdp.sweep.tune.storage import place
from tgdp.sweep.tune.task import Task, make_task
from tgdp.sweep.tune.workers import LocalWorkers, Workers

DEFAULT_TRIALS = 20


@dataclass(frozen=True)
class Asked:
    """What was asked for.

    Attributes:
        file: The study; `sweeps/tune.py` if None.
        words: Preset, data and `--set`.
        results: The results folder.
        seed: Of every run, and of the sampler.
        storage: URL of a database; a journal if None.
        trials: How many the study shall have.
        sampler: What proposes points.
        prune: Whether trials are pruned.
        cluster: Where the runs are done.
        jobs: How many at once.
        profile: Of a cluster.
    """

    file: Path | None
    words: Words
    results: Path
    seed: int = 0
    storage: str | None = None
    trials: int | None = None
    sampler: SamplerName = "tpe"
    prune: bool = False
    cluster: Literal["debug", "local", "slurm"] = "local"
    jobs: int | None = None
    profile: str | None = None

    def wish(self, task: Task) -> Wish:
        """Return how the study is to be worked on."""
        if self.sampler == "grid":
            grid_size(task.study)  # Refuses a range without a step.
            return Wish(self.trials, self.sampler, self.prune)
        return Wish(self.trials or DEFAULT_TRIALS, self.sampler, self.prune)


def real(asked: Asked, stages: Stages = IN_TWO) -> int:
    """Work on a study until it has the trials that it shall have, then write its report.

    Args:
        asked: What was asked for.
        stages: What the jobs of a run do.

    Returns:
        The exit code: 0, 1 if no trial completed or it was given up, 130 if somebody stopped it.

    Raises:
        UserError: Something is wrong with the words, the study or the cluster.
    """
    console = Console()
    task, notes = _task(asked)
    wish = asked.wish(task)
    check_writable(asked.results)
    with hold_study(task):
        workers, said = _workers(asked, task, stages)
        book = open_book(task, asked.storage)
        found = importable(task, book.trials())
        bring(book, found)
        brought = (f"Imported {len(found)} finished runs.",) if found else ()
        say(console, (*describe(task, book, asked.storage, wish), *brought, *notes, *said))
        if task.told.embedded and asked.cluster != "slurm":
            ensure_embedded(asked.results)
        with open_display(console, task, book, wish.trials, workers.goes_on) as display:
            ending = Driver(task, book, workers, wish, display).run()
    _say_ending(console, ending, workers)
    if ending.reason != "stopped":
        _report(console, task, book)
    return _exit_code(ending, book)


def dry(asked: Asked) -> None:
    """Show what a study is and how far it came; nothing is written."""
    console = Console()
    task, notes = _task(asked)
    wish = asked.wish(task)
    book = read_book(task, asked.storage)
    trials = book.trials() if book else []
    found = importable(task, trials)
    lies = f"{len(found)} finished runs lie in its space and would be imported."
    say(console, (*describe(task, book, asked.storage, wish), lies, *notes))
    if book is not None and book.best():
        console.print(best_table(task, book))


def show_json(asked: Asked) -> None:
    """Print the trials of a study as JSON; nothing is written."""
    task, _ = _task(asked)
    book = read_book(task, asked.storage)
    trials, best = (book.trials(), book.best()) if book else ([], [])
    told = {
        "study": task.name,
        "base": task.words,
        "storage": place(task, asked.storage),
        "objectives": {one.quantity: one.direction for one in task.study.objectives},
        "trials": rows(task, trials, best),
    }
    Console().out(json.dumps(told, indent=1), highlight=False)


def write_report(asked: Asked) -> None:
    """Write the tables and figures of a study; nothing is run.

    Raises:
        UserError: There is no such study yet.
    """
    task, _ = _task(asked)
    book = read_book(task, asked.storage)
    if book is None:
        raise UserError(
            f"{place(task, asked.storage)}: no study '{task.name}' yet; run it first, or give the "
            "words it was run with (--preset, --data, --set, --seed)"
        )
    _report(Console(), task, book)


def _task(asked: Asked) -> tuple[Task, Sequence[str]]:
    if asked.profile and asked.cluster != "slurm":
        raise UserError("--profile: is only for --cluster slurm")
    if asked.cluster == "debug" and (asked.jobs or 1) > 1:
        raise UserError(f"--jobs {asked.jobs}: --cluster debug runs one at a time")
    if any(word.partition("=")[0].strip() == "seed" for word in asked.words.assignments):
        raise UserError("--set seed: give the seed with --seed")
    task = make_task(load_study(asked.file), asked.words, asked.seed, asked.results)
    if not asked.prune:
        return task, task.told.notes
    if asked.cluster == "debug":
        raise UserError("--prune: nothing can be stopped with --cluster debug; take local or slurm")
    task, chosen = prepare(task)
    return task, (*task.told.notes, chosen)


def _workers(asked: Asked, task: Task, stages: Stages) -> tuple[Workers, Sequence[str]]:
    if asked.cluster == "slurm":
        return cluster_workers(task, asked.profile, asked.jobs, stages)
    if wants_gpu(task.study) and not list_gpus():
        raise no_gpu("this machine")
    slots = share_out(1 if asked.cluster == "debug" else asked.jobs)
    return LocalWorkers(asked.cluster, slots, stages), (slots.describe() + ".",)


def _say_ending(console: Console, ending: Ending, workers: Workers) -> None:
    if ending.reason == "given up":
        console.print(Text(f"Given up: {ending.words}.", style="red"), soft_wrap=True)
    if ending.reason == "stopped":
        rest = "the jobs go on" if workers.goes_on else "what ran has saved"
        say(console, (f"Stopped; {rest}. The same command again goes on from there.",))


def _report(console: Console, task: Task, book: Book) -> None:
    for line in ended(task, book):
        console.print(Text(line, style="red"), soft_wrap=True)
    if not book.best():
        return
    console.print(best_table(task, book))
    # Here, not above: it brings pandas, matplotlib and mlflow, which take seconds to load.
    from tgdp.report.study import finish_study

    try:
        made = finish_study(task, book)
    except UserError as error:
        say(console, (f"The trials are safe, but their report could not be written: {error}",))
        return
    # Its signature: a second study of that name in this folder has a trial of that number too.
    name = book.trials()[book.best()[0]].run
    say(
        console,
        (
            *made.notes,
            *(f"  {path}" for path in made.files),
            "Next:",
            f"  {in_results(f'tgdp-sweep logs {name}', task.results)}",
            f"  {in_results('tgdp-report dashboard', task.results)}    the curves",
        ),
    )


def _exit_code(ending: Ending, book: Book) -> int:
    if ending.reason == "stopped":
        return STOPPED
    has_any = any(trial.is_measured for trial in book.trials())
    return FAILED if ending.reason == "given up" or not has_any else 0
