"""What `tgdp-eval --record` and `sync` do: keep evaluations, bring them into the store."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tgdp.errors import UserError

if TYPE_CHECKING:
    from tgdp.evaluation.subject import Subject


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


class Recorder:
    """Keeps evaluations as they come, and brings them into the store at the end.

    Args:
        subject: What is measured: of a run, or of a file that belongs to none.
        folder: The results folder; a run keeps its evaluations in its own.
    """

    def __init__(self, subject: "Subject", folder: Path) -> None:
        self._subject = subject
        self._folder = folder

    def keep(self, result: dict[str, Any]) -> None:
        """Keep an evaluation, in place of an earlier one of the same weights, protocol and data.

        Raises:
            UserError: It cannot be written.
        """
        from tgdp.evaluation.record import keep
        from tgdp.sweep.track_evaluation import keep_file

        run = self._subject.run
        file = (
            keep_file(self._folder, {**result, **self._file}) if run is None else keep(run, result)
        )
        _say(f"Kept: {file}")

    def track(self) -> None:
        """Bring what was kept into the store; where that fails, a warning says how to later."""
        from tgdp.evaluation.find import results_of
        from tgdp.sweep import track
        from tgdp.sweep.track_evaluation import sync_files

        run = self._subject.run
        home = self._folder if run is None else results_of(run, self._folder)
        later = f"{'tgdp-eval' if run is None else 'tgdp-report'} sync --results {home}"
        try:
            report = sync_files(home) if run is None else track.sync(home, [run.path])
        except UserError as error:
            _say(f"Kept, but not tracked: {error}", "yellow")
            _say(f"Later: {later}", "yellow")
            return
        _say(f"Tracked: {report}")
        for line in report.skipped:
            _say(f"  {line}", "yellow")

    @cached_property
    def _file(self) -> dict[str, str]:
        from tgdp.evaluation.feature_request import weights_sha256

        sha256 = weights_sha256(self._subject.encoder)
        return {"file": self._subject.file.name, "weights_sha256": sha256}


def sync(folder: Path) -> None:
    """Bring the evaluations of files into the store; those of runs come with `tgdp-report sync`.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    from tgdp.sweep.track_evaluation import sync_files

    report = sync_files(folder)
    _say(f"Tracked: {report}")
    for line in report.skipped:
        _say(f"  {line}", "yellow")


def _say(words: str, style: str | None = None) -> None:
    console = Console(stderr=True)
    console.print(words, style=style, markup=False, highlight=False, soft_wrap=True)
