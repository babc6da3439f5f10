"""What `tgdp-eval --record` and `sync` do: keep evaluations, bring them into the store."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tgdp.errors import UserError

if TYPE_CHECKING:
    from tgdp.evaluation.subject import Subject
    from tgdp.training.run_directory import RunDirectory


def require_settled(subject: "Subject") -> None:
    """Refuse to record weights by a word that will mean others once the run has gone on.

    Raises:
        UserError: The run is not at its last step, and no step was named.
    """
    if subject.run is None or subject.which.startswith("step-"):
        return
    status = subject.run.status()
    if status.step < status.total_steps:
        raise UserError(
            f"--record: {subject.run.path} is at step {status.step} of {status.total_steps}, and "
            f"'{subject.which}' will be other weights later; train it to its end, or name a step "
            "with --which"
        )


def record(subject: "Subject", results: Sequence[dict[str, Any]], folder: Path) -> None:
    """Keep evaluations, with their run or as those of a file, and bring them into the store.

    Args:
        subject: What was measured.
        results: Its evaluations.
        folder: The results folder; a run keeps them in its own.

    Raises:
        UserError: They cannot be written. Where only the store fails, a warning says so.
    """
    console = Console(stderr=True)
    if subject.run is None:
        _record_file(subject, results, folder, console)
    else:
        _record_run(subject.run, results, folder, console)


def sync(folder: Path) -> None:
    """Bring the evaluations of files into the store; those of runs come with `tgdp-report sync`.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    from tgdp.sweep.track_evaluation import sync_files

    Console().print(str(sync_files(folder)), markup=False, soft_wrap=True)


def _record_run(
    run: "RunDirectory", results: Sequence[dict[str, Any]], folder: Path, console: Console
) -> None:
    from tgdp.evaluation.find import results_of
    from tgdp.evaluation.record import keep
    from tgdp.sweep import track

    for result in results:
        _say(console, f"Kept: {keep(run, result)}")
    home = results_of(run, folder)
    try:
        report = track.sync(home, [run.path])
    except UserError as error:
        _warn(console, error, f"tgdp-report sync --results {home}")
        return
    _say(console, f"Tracked: {report}")
    for line in report.skipped:
        _say(console, f"  {line}", "yellow")


def _record_file(
    subject: "Subject", results: Sequence[dict[str, Any]], folder: Path, console: Console
) -> None:
    from tgdp.evaluation.feature_request import weights_sha256
    from tgdp.sweep.track_evaluation import keep_file, sync_files

    identity = {"file": subject.file.name, "weights_sha256": weights_sha256(subject.encoder)}
    for result in results:
        _say(console, f"Kept: {keep_file(folder, {**result, **identity})}")
    try:
        report = sync_files(folder)
    except UserError as error:
        _warn(console, error, f"tgdp-eval sync --results {folder}")
        return
    _say(console, f"Tracked: {report}")


def _warn(console: Console, error: UserError, later: str) -> None:
    _say(console, f"Kept, but not tracked: {error}", "yellow")
    _say(console, f"Later: {later}", "yellow")


def _say(console: Console, words: str, style: str | None = None) -> None:
    console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)
