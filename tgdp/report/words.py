"""What a table says in words, the same in every format."""

from collections.abc import Mapping
from dataclasses import dataclass

from tgdp.report import stats
from tgdp.report.probes import ProbeMetric
from tgdp.report.table import Entry, Row, Table

DASH = "—"

SANITY = {
    "chance": "what guessing gets",
    "mean embedding": "one vector for all clips, ties counted against us",
    "untrained": "the encoder as each seed makes it",
    "oracle": "the causes that sound and picture share",
}
"""What the rows below a table are."""


@dataclass(frozen=True)
class Block:
    """Columns that belong together, so that a table stays narrow.

    Attributes:
        heading: What they have in common, `A→V`.
        columns: Place of the metric in the sweep -> its short head, `R@1`.
        published: Those of the columns that have a published number in some row.
    """

    heading: str
    columns: Mapping[int, str]
    published: tuple[int, ...]


def blocks(table: Table) -> list[Block]:
    """Return the columns in blocks: the words before the last space of a title in common."""
    groups: dict[str, dict[int, str]] = {}
    for column, metric in enumerate(table.sweep.metrics):
        heading, _, short = metric.title.rpartition(" ")
        groups.setdefault(heading, {})[column] = short
    return [Block(heading, c, _published(table, c)) for heading, c in groups.items()]


def _published(table: Table, columns: Mapping[int, str]) -> tuple[int, ...]:
    return tuple(c for c in columns if any(row.entries[c].published for row in table.rows))


def row_head(table: Table) -> str:
    """Return the head of the first column."""
    return " ".join(table.sweep.key.split(".")[-2:]) if table.sweep.key else "variant"


def ours(entry: Entry) -> str:
    """Return `mean ± sd`, with a dash for the sd of a single seed."""
    if entry.mean is None:
        return DASH
    spread = DASH if entry.sd is None else f"{entry.sd:.1f}"
    return f"{entry.mean:.1f} ± {spread}"


def theirs(entry: Entry) -> str:
    """Return the published value with the confidence of its source."""
    if entry.published is None:
        return DASH
    if entry.published.value is None:
        return "not found"
    return f"{entry.published.value:.1f} ({entry.published.confidence})"


def plain(entry: Entry) -> str:
    """Return a number of a sanity row: what is no mean over seeds has no spread to miss."""
    if len(entry.numbers) == 1:
        return f"{entry.numbers[0]:.1f}"
    return ours(entry)


def is_best(table: Table, row: Row, column: int) -> bool:
    """Say whether the cell shows the best value of its column."""
    best, mean = table.best(column), row.entries[column].mean
    return best is not None and mean is not None and f"{mean:.1f}" == f"{best:.1f}"


def seeds(row: Row, block: Block) -> str:
    """Return the seeds with numbers in a block and those wanted: `2/3`, or `1-2/3`."""
    return f"{span(tuple(len(row.entries[c].numbers) for c in block.columns))}/{row.wanted}"


def sanity_seeds(row: Row, block: Block) -> str:
    """Return the seeds of a sanity row; a dash where it does not depend on any."""
    return span(tuple(n for c in block.columns if (n := len(row.entries[c].seeds))))


def clips(row: Row, block: Block) -> str:
    """Return the number of clips of a row in a block; a range where its seeds differ."""
    return span(tuple(number for c in block.columns for number in row.entries[c].clips if number))


def span(numbers: tuple[int, ...]) -> str:
    """Return `300`, `298-300` or a dash."""
    if not numbers:
        return DASH
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def caption(table: Table) -> list[str]:
    """Return the lines under a table: what was measured, on what, against what."""
    base = table.summary.words or table.summary.base
    lines = [
        f"Ours: data {table.dataset or DASH}, split {table.split or DASH}, "
        f"N = {span(table.clips)} clips, protocol {table.protocol or DASH}, base {base}.",
        *_probes(table),
        "Mean ± sample standard deviation over seeds, in percent; seeds: done / wanted.",
    ]
    if chance := _chance(table):
        lines.append(f"Chance level{chance}.")
    if table.sanity:
        told = (f"{row.label}, {SANITY[row.label]}" for row in table.sanity)
        lines.append(f"Below the rows: {'; '.join(told)}.")
    if table.on_training_clips:
        lines.append("Retrieval among the training clips: this measures memory, not transfer.")
    if theirs_on := _theirs_on(table):
        lines.append(
            f"Published: {', '.join(theirs_on)} with ViT-B, with the confidence of the source that "
            "was read. Not comparable in size with ours, only in direction."
        )
    return lines


def _probes(table: Table) -> list[str]:
    """Return a line for each block of probes: on what they were tested."""
    lines: list[str] = []
    for block in probe_blocks(table):
        metric = table.sweep.metrics[next(iter(block.columns))]
        if isinstance(metric, ProbeMetric):
            tested = [n for row in table.rows for c in block.columns for n in row.entries[c].clips]
            lines.append(
                f"{block.heading}: data {metric.dataset}, split {metric.facts.split or DASH}, "
                f"N = {span(tuple(n for n in tested if n))} clips."
            )
    return lines


def probe_blocks(table: Table) -> list[Block]:
    """Return the blocks of columns that hold probes."""
    metrics = table.sweep.metrics
    return [b for b in blocks(table) if isinstance(metrics[next(iter(b.columns))], ProbeMetric)]


def _chance(table: Table) -> str:
    if not table.clips:
        return ""
    levels: dict[str, float] = {}
    for metric in table.sweep.metrics:
        level = stats.chance(metric.key, table.clips[0])
        if level is not None:
            levels[metric.title.rpartition(" ")[2]] = 100 * level
    if not levels:
        return ""
    among = f" among {table.clips[0]} clips, the fewest" if len(table.clips) > 1 else ""
    return f"{among}: " + ", ".join(f"{name} {level:.2f} %" for name, level in levels.items())


def _theirs_on(table: Table) -> list[str]:
    shown = {column for block in blocks(table) for column in block.published}
    theirs = (table.sweep.metrics[column].published for column in shown)
    # The modality of a probe is written behind the name of the data.
    return sorted({found[0].partition(" ")[0] for found in theirs if found})


def problems(table: Table) -> list[str]:
    """Return a line for each row that lacks a seed, and for each probe that lacks a run."""
    rows = [f"{row.label}: {'; '.join(row.problems)}" for row in table.rows if row.problems]
    return [*rows, *_unprobed(table)]


def _unprobed(table: Table) -> list[str]:
    lines: list[str] = []
    for block in probe_blocks(table):
        lacking: dict[str, list[str]] = {}
        for column, short in block.columns.items():
            cells = [
                f"{row.label} (seed {seed})"
                for row in table.rows
                for seed in row.seeds
                if seed not in row.entries[column].seeds
            ]
            if cells:
                lacking.setdefault(", ".join(cells), []).append(short)
        lines += [
            f"{block.heading} ({', '.join(shorts)}): not measured on {cells}"
            for cells, shorts in lacking.items()
        ]
    return lines
