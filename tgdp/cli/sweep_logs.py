"""`tgdp-sweep logs`: what a job of a run printed, and what it prints from now on."""

import json
import time
from pathlib import Path

import typer

from tgdp.sweep.cells import find_one
from tgdp.sweep.job_logs import Attempt, check_rank, choose
from tgdp.sweep.lifetime import look_now
from tgdp.sweep.logs import ERROR_FILE
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory

PAUSE_S = 0.5

LOOK_EVERY_S = 15.0
"""Seconds between two questions to the scheduler whether the run still goes on."""


def show(
    results: Path, cell: str, follow: bool, rank: int, attempt: int | None, as_json: bool
) -> None:
    """Print what a rank of a job printed.

    Args:
        results: The results folder.
        cell: The run, in any of its names.
        follow: Go on until the run does not any more.
        rank: Whose output.
        attempt: Which job, counted from 1; None for the newest.
        as_json: Only say which files these are.

    Raises:
        UserError: There is no such run, job or rank.
    """
    run = find_one(results, cell).run
    chosen = choose(run, attempt)
    check_rank(chosen, rank)
    if as_json:
        typer.echo(json.dumps(_data(run, chosen, rank), indent=1))
        return
    tail = Tail(chosen.files(rank))
    tail.print_new()
    if tail.is_empty:
        typer.echo(f"Job {chosen.job} has printed nothing yet: {chosen.files(rank)[0]}", err=True)
    while follow and _goes_on(run):
        until = time.monotonic() + LOOK_EVERY_S
        while time.monotonic() < until:
            time.sleep(PAUSE_S)
            if attempt is None:
                # The training ends, and the evaluation begins.
                tail.add(choose(run, None).files(rank))
            tail.print_new()
            if read_state(run).state in ("done", *ENDED_BADLY):
                break
    tail.print_new()


class Tail:
    """Prints what is new in some files, each under its name.

    Args:
        files: The files; they need not exist yet.
    """

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._places = dict.fromkeys(files, 0)
        self._last: Path | None = None

    def add(self, files: tuple[Path, ...]) -> None:
        """Also print what comes into these."""
        for path in files:
            self._places.setdefault(path, 0)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to print so far."""
        return not any(self._places.values())

    def print_new(self) -> None:
        """Print what came since the last time."""
        for path, place in self._places.items():
            try:
                with path.open("rb") as file:
                    file.seek(place)
                    text = file.read()
            except FileNotFoundError:
                continue
            if text:
                self._places[path] = place + len(text)
                if path != self._last:
                    typer.echo(f"==> {path} <==")
                self._last = path
                typer.echo(text.decode("utf-8", errors="replace"), nl=not text.endswith(b"\n"))


def _goes_on(run: RunDirectory) -> bool:
    (life,) = look_now((run,))
    return life.state in {"running", "queued"} or bool(life.active)


def _data(run: RunDirectory, attempt: Attempt, rank: int) -> dict[str, object]:
    errors = run.log / ERROR_FILE
    return {
        "run": run.name,
        "job": attempt.job,
        "stage": attempt.stage,
        "rank": rank,
        "ranks": list(attempt.ranks()),
        "files": [str(path) for path in attempt.files(rank) if path.exists()],
        "tracebacks": str(errors) if errors.exists() else None,
    }
