"""What `tgdp-eval retrieval`, `probe` and `all` do: open, measure, print, write, keep."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from tgdp.cli.evaluate_measure import Found, Wanted, measure
from tgdp.cli.evaluate_record import Recorder, require_settled
from tgdp.cli.evaluate_tables import retrieval_table, table_of
from tgdp.errors import UserError

if TYPE_CHECKING:
    from tgdp.evaluation.probe.settings import Kind, ProbeSettings, Task

__all__ = [
    "Output",
    "Source",
    "Wanted",
    "evaluate_all",
    "evaluate_one",
    "probes",
    "retrieval_table",
]


class Source(NamedTuple):
    """What is measured, in the words of the command line.

    Attributes:
        checkpoint: A run directory, a checkpoint file of one, or a released file.
        data: Prepared folder; None for the run's own.
        split: Split to retrieve among; None for the run's own.
        heads: Attention heads of a released file.
        which: Which weights.
    """

    checkpoint: Path
    data: Path | None
    split: str | None
    heads: int | None
    which: str


class Output(NamedTuple):
    """Where it goes.

    Attributes:
        results: The results folder: features are kept in it.
        as_json: Print JSON.
        out: File for the JSON.
        record: Keep it, and bring it into the store.
    """

    results: Path
    as_json: bool
    out: Path | None
    record: bool


def probes(
    kinds: "Sequence[Kind]", modalities: str, task: "Task | None", seeds: int
) -> "tuple[ProbeSettings, ...]":
    """Return the probes that were asked for.

    Args:
        kinds: Attention, linear.
        modalities: One, or several with commas between.
        task: The labels say it if None.
        seeds: How many of each.

    Raises:
        UserError: There is no such modality.
    """
    from tgdp.evaluation.probe.settings import ProbeSettings, parse_modalities

    return tuple(
        ProbeSettings(kind, task or "multilabel", modality, seeds=tuple(range(seeds)))
        for kind in kinds
        for modality in parse_modalities(modalities)
    )


def evaluate_one(source: Source, wanted: Wanted, output: Output) -> None:
    """Measure one thing; print, write and keep it.

    Raises:
        UserError: It cannot be measured, or a file cannot be written.
    """
    found = _evaluate(source, wanted, output)
    if found is not None:
        _give(found, found.only(), output)


def evaluate_all(source: Source, wanted: Wanted, output: Output) -> None:
    """Measure several things; print, write and keep those that can be had, and name the others.

    Raises:
        UserError: None can be measured, or a file cannot be written.
    """
    found = _evaluate(source, wanted, output)
    if found is not None:
        found.only()
        _give(found, found.as_json(), output)


def _evaluate(source: Source, wanted: Wanted, output: Output) -> Found | None:
    """Measure; print and keep each result as it comes."""
    from tgdp.evaluation.feature_cache import cache_root
    from tgdp.evaluation.subject import open_subject

    subject = open_subject(*source)
    recorder = Recorder(subject, output.results) if output.record else None
    if recorder is not None:
        require_settled(subject)

    def take(result: dict[str, Any]) -> None:
        if not output.as_json:
            Console().print(table_of(result))
        if recorder is not None:
            recorder.keep(result)

    found = measure(subject, cache_root(output.results), wanted, take)
    if recorder is not None and found is not None and found.results:
        recorder.track()
    return found


def _give(found: Found, plain: dict[str, Any], output: Output) -> None:
    """Say what could not be measured; print JSON, and write it, where that is asked for."""
    _print_refused(found, Console(stderr=output.as_json))
    text = json.dumps(plain, indent=1)
    if output.out is not None:
        _write(output.out, text + "\n")
    if output.as_json:
        Console().out(text, highlight=False)
    elif output.out is not None:
        Console().print(f"  {output.out}", markup=False, soft_wrap=True)


def _print_refused(found: Found, console: Console) -> None:
    for why in dict.fromkeys(found.refused.values()):
        what = ", ".join(name for name, reason in found.refused.items() if reason == why)
        console.print(f"Not measured: {what}: {why}", style="yellow", markup=False, soft_wrap=True)


def _write(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror})") from error
