"""What `tgdp-eval retrieval` and `probe` do: measure, print, write down."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tgdp.errors import UserError

if TYPE_CHECKING:
    from tgdp.evaluation.probe.result import ProbeResult
    from tgdp.evaluation.probe.settings import ProbeSettings
    from tgdp.evaluation.subject import Subject

SHOWN = ("r1", "r5", "r10", "median_rank")
DIRECTIONS = {"a2v": "audio → video", "v2a": "video → audio"}


def retrieval(subject: "Subject", cache: Path, *, with_sanity: bool) -> dict[str, Any]:
    """Return what retrieval measures, and the rows beside it where they are asked for.

    Args:
        subject: Encoder and data.
        cache: Where features are kept.
        with_sanity: Whether an untrained encoder, one vector for all and, on the embedded
            benchmark, the true causes are measured too.
    """
    from tgdp.evaluation.run import evaluate

    result = evaluate(subject.encoder, subject.config, cache)
    result["weights"] = subject.weights
    if with_sanity:
        result["sanity"] = _sanity(subject, cache)
    return result


def _sanity(subject: "Subject", cache: Path) -> dict[str, dict[str, float]]:
    from tgdp.evaluation import sanity
    from tgdp.evaluation.feature_request import request_of
    from tgdp.evaluation.features import extract
    from tgdp.evaluation.retrieval import retrieve
    from tgdp.training.loading import data_folder

    config = subject.config
    found = extract(subject.encoder, request_of(config), cache).as_float32()
    device = next(subject.encoder.parameters()).device
    fresh = sanity.untrained(config).to(device)
    rows = {
        "untrained": extract(fresh, request_of(config), cache).as_float32(),
        "mean embedding": sanity.mean_embedding(found),
    }
    if config.data.name == "embedded":
        rows["oracle"] = sanity.oracle(data_folder(config), config.evaluation.split)
    return {name: retrieve(row.audio, row.image, row.ids) for name, row in rows.items()}


def retrieval_table(result: Mapping[str, Any]) -> Table:
    """Return what was measured, both directions, with 95 % intervals and the number of clips."""
    from tgdp.evaluation.ranking import chance

    table = Table(
        "", "R@1", "R@5", "R@10", "median rank", title=result["dataset"], caption=_caption(result)
    )
    prefix, ends = f"retrieval/{result['dataset']}/", result.get("intervals", {})
    for direction, words in DIRECTIONS.items():
        names = [f"{prefix}{direction}/{name}" for name in SHOWN]
        table.add_row(words, *(_cell(name, result["metrics"][name]) for name in names))
        if ends:
            table.add_row("", *(_ends(name, ends[name]) for name in names), style="dim")
    for label, metrics in result.get("sanity", {}).items():
        for direction in DIRECTIONS:
            names = [f"{direction}/{name}" for name in SHOWN]
            cells = (_cell(name, metrics[name]) for name in names)
            table.add_row(f"{label}, {direction}", *cells, style="dim")
    guessed = chance(result["n"])
    table.add_row("chance", *(_cell(name, guessed[name]) for name in SHOWN), style="dim")
    return table


def _caption(result: Mapping[str, Any]) -> str:
    caption = f"{result['protocol']}, split '{result['split']}', N = {result['n']} clips"
    if "weights" in result:
        caption += f", {result['weights']}"
    if result["missing"]:
        caption += f", {len(result['missing'])} more could not be read"
    if result["on_training_clips"]:
        caption += "; these are the training clips"
    if "intervals" in result:
        caption += "\n95 % intervals: over clips, not over trainings"
    return caption


def _cell(name: str, value: float) -> str:
    return f"{value:g}" if name.endswith("rank") else f"{100 * value:.1f}"


def _ends(name: str, ends: list[float]) -> str:
    return "[{}, {}]".format(*(_cell(name, end) for end in ends))


def probe(
    subject: "Subject",
    cache: Path,
    settings: "ProbeSettings",
    splits: tuple[str | None, str | None],
    *,
    finds_task: bool,
) -> "ProbeResult":
    """Return what the frozen features are worth to a probe.

    Args:
        subject: Encoder and data.
        cache: Where features are kept.
        settings: Which probe, on what.
        splits: To train on, to test on; the usual ones where None.
        finds_task: Whether the labels say what the task is, and not the settings.
    """
    from tgdp.evaluation.probing import probe_splits, probe_subject, task_of
    from tgdp.training.loading import data_folder

    folder = data_folder(subject.config)
    chosen = probe_splits(folder, *splits)
    if finds_task:
        settings = replace(settings, task=task_of(folder, chosen))
    with Console(stderr=True).status("Reading the clips ...") as status:

        def report(done: int, total: int) -> None:
            status.update(f"Probe {done} of {total} is trained ...")

        return probe_subject(subject, chosen, settings, cache, report)


def probe_table(result: "ProbeResult", dataset: str) -> Table:
    """Return every metric of a probe: mean and deviation over its seeds, 95 % interval."""
    settings = result.settings
    caption = (
        f"{result.protocol}, {settings['task']}, modality {settings['modality']}: "
        f"{result.num_train} clips to train, N = {result.n} to test, {result.classes} classes "
        f"({result.classes_present} with test clips); rate {result.rate:g} chosen on "
        f"{result.num_held_out} held-out training clips, {len(settings['seeds'])} seeds"
    )
    if result.is_rate_at_edge:
        caption += "; the rate is at the edge of those tried"
    table = Table("", "mean", "sd", "95 % interval", title=dataset, caption=caption)
    for name, value in result.metrics.items():
        deviation, ends = result.sd[name], result.intervals.get(name)
        scale, digits = (1, 2) if name == "d_prime" else (100, 1)
        sd = "-" if deviation is None else f"{scale * deviation:.{digits}f}"
        interval = "-" if ends is None else f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
        table.add_row(name, f"{scale * value:.{digits}f}", sd, interval)
    return table


def give(result: Mapping[str, Any], table: Table, *, as_json: bool, out: Path | None) -> None:
    """Print what was measured, and write it as JSON where a file is named.

    Raises:
        UserError: The file cannot be written.
    """
    text = json.dumps(result, indent=1)
    if out is not None:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written ({error.strerror})") from error
    console = Console()
    if as_json:
        console.out(text, highlight=False)
        return
    console.print(table)
    if out is not None:
        console.print(f"  {out}", markup=False, soft_wrap=True)


def probe_json(result: "ProbeResult") -> dict[str, Any]:
    """Return a result as plain JSON types."""
    plain = asdict(result)
    plain["intervals"] = {name: list(ends) for name, ends in result.intervals.items()}
    plain["rate_scores"] = {f"{rate:g}": score for rate, score in result.rate_scores.items()}
    return plain
