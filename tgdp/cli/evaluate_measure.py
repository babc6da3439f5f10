"""Measures what was asked for, over clips that are read once, by one process or several ranks."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from tgdp.cli.console import show_error
from tgdp.errors import UserError

if TYPE_CHECKING:
    from tgdp.evaluation.feature_reader import FeatureReader
    from tgdp.evaluation.probe.settings import ProbeSettings
    from tgdp.evaluation.subject import Subject

Value = TypeVar("Value")
Result = dict[str, Any]
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be measured.

    Attributes:
        retrieval: Whether retrieval is.
        sanity: Whether the rows beside it are.
        probes: Which probes.
        splits: Of the probes, to train on and to test on; the usual ones where None.
        finds_task: Whether the labels say what the task of the probes is, and not their settings.
    """

    retrieval: bool = False
    sanity: bool = False
    probes: "tuple[ProbeSettings, ...]" = ()
    splits: tuple[str | None, str | None] = (None, None)
    finds_task: bool = True


@dataclass(frozen=True)
class Found:
    """What was measured, and what could not be.

    Attributes:
        results: Evaluations, as they are kept.
        refused: What was wanted, and why it could not be had.
    """

    results: list[Result] = field(default_factory=list[Result])
    refused: dict[str, str] = field(default_factory=dict[str, str])

    def attempt(self, what: str, step: Callable[[], Value]) -> Value | None:
        """Return what a step gives; where it cannot be had, note why and return None."""
        try:
            return step()
        except UserError as error:
            self.refused[what] = str(error)
            return None

    def only(self) -> Result:
        """Return the one result that was wanted.

        Raises:
            UserError: It could not be had.
        """
        if not self.results:
            raise UserError("; ".join(dict.fromkeys(self.refused.values())))
        return self.results[0]

    def as_json(self) -> Result:
        """Return everything as plain JSON types."""
        refused = [{"what": what, "why": why} for what, why in self.refused.items()]
        return {"results": self.results, "not_measured": refused}


def measure(
    subject: "Subject", cache: Path, wanted: Wanted, take: Callable[[Result], None]
) -> Found | None:
    """Return what was wanted, or on every rank but the first None, once its share is embedded.

    Args:
        subject: Encoder and data.
        cache: Where features are kept.
        wanted: What to measure.
        take: Called with each result as soon as it is there: probes of full size take long.
    """
    from tgdp.evaluation.feature_reader import FeatureReader
    from tgdp.training.ranks import find_meeting, open_group

    meeting = find_meeting()
    with _progress(quiet=meeting is not None and not meeting.ranks.is_first) as say:
        with open_group(meeting, subject.config.runtime.device) as ranks:
            reader = FeatureReader(subject, cache, ranks, say("Reading the clips: {} of {}"))
            if ranks.world > 1:
                _read_ahead(reader, wanted, says=not ranks.is_first)
        # The others are gone: a probe may train for longer than they would wait.
        return _measure(reader, wanted, say, take) if ranks.is_first else None


def _read_ahead(reader: "FeatureReader", wanted: Wanted, *, says: bool) -> None:
    """Embed on all ranks what will be measured; the reader remembers what failed."""
    from tgdp.evaluation.probing import probe_data

    split = reader.subject.config.evaluation.split
    steps: list[Callable[[], Any]] = []
    if wanted.retrieval:
        steps.append(lambda: reader.read(split))
    if wanted.retrieval and wanted.sanity:
        steps.append(lambda: reader.untrained.read(split))
    if wanted.probes:
        steps.append(lambda: [probe_data(reader, one) for one in _splits(reader, wanted)])
    for step in steps:
        try:
            step()
        except UserError as error:
            # The first rank says it where it measures.
            if says:
                show_error(str(error))


def _measure(
    reader: "FeatureReader",
    wanted: Wanted,
    say: Callable[[str], Report],
    take: Callable[[Result], None],
) -> Found:
    from tgdp.evaluation.measure import measure_probe, measure_retrieval, measure_sanity
    from tgdp.evaluation.retrieval import PROTOCOL

    found = Found()

    def add(result: Result) -> None:
        found.results.append(result)
        take(result)

    if wanted.retrieval and (got := found.attempt(PROTOCOL, lambda: measure_retrieval(reader))):
        if wanted.sanity and (rows := found.attempt("sanity", lambda: measure_sanity(reader))):
            got["sanity"] = rows
        add(got)
    for settings in wanted.probes:
        what = f"{settings.protocol} of {settings.modality}"
        report = say(f"{what}: {{}} of {{}} probes are trained")

        def probe(settings: "ProbeSettings" = settings, report: Report = report) -> Result:
            splits = _splits(reader, wanted)
            return measure_probe(reader, splits, _with_task(reader, wanted, settings), report)

        if got := found.attempt(what, probe):
            add(got)
    return found


def _splits(reader: "FeatureReader", wanted: Wanted) -> tuple[str, str]:
    from tgdp.evaluation.probing import probe_splits
    from tgdp.training.loading import data_folder

    return probe_splits(data_folder(reader.subject.config), *wanted.splits)


def _with_task(
    reader: "FeatureReader", wanted: Wanted, settings: "ProbeSettings"
) -> "ProbeSettings":
    from tgdp.evaluation.probing import task_of
    from tgdp.training.loading import data_folder

    if not wanted.finds_task:
        return settings
    folder = data_folder(reader.subject.config)
    return replace(settings, task=task_of(folder, _splits(reader, wanted)))


@contextmanager
def _progress(*, quiet: bool) -> Generator[Callable[[str], Report], None, None]:
    """Yield what makes a report out of a form of words; it is shown on a terminal only."""
    console = Console(stderr=True, quiet=quiet)
    with console.status("Reading the checkpoint ...") as status:

        def say(words: str) -> Report:
            return lambda done, total: status.update(f"{words.format(done, total)} ...")

        yield say
