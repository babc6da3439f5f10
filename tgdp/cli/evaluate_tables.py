"""What was measured, as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

SHOWN = ("r1", "r5", "r10", "median_rank")
CAPTION = 70
"""Least width of a narrow table, so that its caption is read in lines and not in words."""
DIRECTIONS = {"a2v": "audio → video", "v2a": "video → audio"}


def table_of(result: Mapping[str, Any]) -> Table:
    """Return the table of an evaluation: of retrieval or of a probe."""
    return probe_table(result) if "modality" in result else retrieval_table(result)


def retrieval_table(result: Mapping[str, Any]) -> Table:
    """Return what was measured, both directions, with 95 % intervals and the number of clips."""
    from tgdp.evaluation.ranking import chance

    table = Table(
        "", "R@1", "R@5", "R@10", "median rank", title=result["dataset"], caption=_caption(result)
    )
    metrics, ends = _by_ending(result["metrics"]), _by_ending(result.get("intervals", {}))
    for direction, words in DIRECTIONS.items():
        names = [f"{direction}/{name}" for name in SHOWN]
        table.add_row(words, *(_cell(name, metrics[name]) for name in names))
        if ends:
            table.add_row("", *(_ends(name, ends[name]) for name in names), style="dim")
    for label, row in result.get("sanity", {}).items():
        for direction in DIRECTIONS:
            names = [f"{direction}/{name}" for name in SHOWN]
            cells = (_cell(name, row[name]) for name in names)
            table.add_row(f"{label}, {direction}", *cells, style="dim")
    guessed = chance(result["n"])
    table.add_row("chance", *(_cell(name, guessed[name]) for name in SHOWN), style="dim")
    return table


def probe_table(result: Mapping[str, Any]) -> Table:
    """Return every metric of a probe: mean and deviation over its seeds, 95 % interval."""
    settings = result["settings"]
    caption = (
        f"{settings['task']}, {result['weights']}: {result['num_train']} clips of "
        f"'{result['train_split']}' to train, "
        f"N = {result['n']} of '{result['split']}' to test{_missing(result)}, "
        f"{result['classes']} classes ({result['classes_present']} with test clips); rate "
        f"{result['rate']:g} chosen on {result['num_held_out']} held-out training clips, "
        f"{len(settings['seeds'])} seeds"
    )
    if result["is_rate_at_edge"]:
        caption += "; the rate is at the edge of those tried"
    title = f"{result['dataset']}, {result['protocol']} of {result['modality']}"
    columns = ("", "mean", "sd", "95 % interval")
    table = Table(*columns, title=title, caption=caption, min_width=CAPTION)
    for full, value in result["metrics"].items():
        name = full.rpartition("/")[2]
        deviation, ends = result["sd"][full], result["intervals"].get(full)
        scale, digits = (1, 2) if name == "d_prime" else (100, 1)
        sd = "-" if deviation is None else f"{scale * deviation:.{digits}f}"
        interval = "-" if ends is None else f"[{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]"
        table.add_row(name, f"{scale * value:.{digits}f}", sd, interval)
    return table


def _by_ending(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures by direction and measure: results of a run and evaluations differ before."""
    return {"/".join(name.split("/")[-2:]): value for name, value in figures.items()}


def _caption(result: Mapping[str, Any]) -> str:
    caption = f"{result['protocol']}, split '{result['split']}', N = {result['n']} clips"
    if "weights" in result:
        caption += f", {result['weights']}"
    caption += _missing(result)
    if result["on_training_clips"]:
        caption += "; these are the training clips"
    if "intervals" in result:
        caption += "\n95 % intervals: over clips, not over trainings"
    if unlabelled := result.get("unlabelled"):
        caption += f"\n{unlabelled} clips without a label stand in no class"
    return caption


def _missing(result: Mapping[str, Any]) -> str:
    number = len(result["missing"])
    return f", {number} more could not be read" if number else ""


def _cell(name: str, value: float) -> str:
    return f"{value:g}" if name.endswith("rank") else f"{100 * value:.1f}"


def _ends(name: str, ends: list[float]) -> str:
    return "[{}, {}]".format(*(_cell(name, end) for end in ends))
