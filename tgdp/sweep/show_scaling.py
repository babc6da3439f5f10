"""The block under a plan that says what its runs would take on more GPUs, on paper."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tgdp.bench.step_rows import DASH
from tgdp.config import Config
from tgdp.data.card import read_card
from tgdp.model.operations import operations
from tgdp.model.parameters import num_parameters
from tgdp.sweep.demand import PAIR_SECONDS, TYPICAL, Stored, bytes_of_pair, stored_sizes
from tgdp.sweep.scaling import (
    AUDIOSET_2M,
    FLOAT,
    GPUS,
    NETWORK,
    NODE,
    Bounds,
    Scaled,
    nvlink,
    scale,
)
from tgdp.sweep.throughput import Pace, find_pace, load, on_newest_card

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("GPUs", "batch", "step", "hours a run", "GPU-hours", "pairs/s", "GB/s", "cores")


@dataclass(frozen=True)
class OnPaper:
    """What a block says.

    Attributes:
        num_runs: Runs of the sweep.
        pairs: Training pairs of an epoch.
        rows: The cells of each number of GPUs, in the order of `HEADINGS`.
        notes: What it was worked out from, and what is assumed.
    """

    num_runs: int
    pairs: int
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def table(self) -> "Table":
        """Return the table."""
        from rich import box
        from rich.table import Table

        title = f"On paper: {self.num_runs} runs on {self.pairs:,} pairs"
        # Narrow: it has to fit into 80 columns.
        table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in HEADINGS:
            table.add_column(name, justify="left" if name == "step" else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        return table


def on_paper(configs: Sequence[Config], preset: str, results: Path) -> OnPaper | None:
    """Return the block of a sweep; None where no steps of its preset were measured on a GPU.

    Args:
        configs: Of all runs, which train on one split; on AudioSet-2M where they name no folder.
        preset: Name of the preset that they started from.
        results: Results folder, where measurements of one's own may lie.

    Raises:
        UserError: The measurements or the data folder cannot be read.
    """
    measured = on_newest_card(load(results), preset)
    runs = [(config, find_pace(measured, config)) for config in configs]
    paces = [pace for _, pace in runs if pace is not None]
    if not paces:
        return None
    data = configs[0].data
    card = None if data.folder is None else read_card(data.folder)
    pairs = AUDIOSET_2M if card is None else card.split(data.train_split)
    scaled = [(gpus, scale(runs, pairs, gpus)) for gpus in GPUS]
    stored = None if data.folder is None else stored_sizes(data.folder)
    audio = "flac" if card is None else str(card.settings.get("audio", "flac"))
    read = bytes_of_pair(stored or TYPICAL, audio, data)
    notes = (
        *_measured(list(dict.fromkeys(paces))),
        *_in_proportion(runs),
        *_gaps([one for _, one in scaled]),
        _exchanged(configs[0], paces[0].rows[0].device),
        _wanted(read, stored),
    )
    return OnPaper(len(runs), pairs, tuple(_cells(*one, read) for one in scaled), notes)


def _cells(gpus: int, scaled: Scaled | None, read: float) -> tuple[str, ...]:
    if scaled is None:
        return (str(gpus), *(DASH for _ in HEADINGS[1:]))
    rate = scaled.pairs_per_s
    return (
        str(gpus),
        str(scaled.share),
        scaled.origin,
        _between(scaled.hours),
        _between(scaled.total),
        _number(rate),
        _number(rate * read / 1e9),
        _number(rate * PAIR_SECONDS),
    )


def _between(bounds: Bounds) -> str:
    least, most = _number(bounds.least), _number(bounds.most)
    return least if least == most else f"{least} .. {most}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 1:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.01 else "< 0.01"


def _measured(paces: Sequence[Pace]) -> Iterator[str]:
    rows = [row for pace in paces for row in pace.rows]
    kinds = (_all(row.date for row in rows), f"torch {_all(row.torch for row in rows)}")
    yield f"Measured on {rows[0].device}, {', '.join(kinds)}, {_all(r.precision for r in rows)}:"
    for pace in paces:
        row, line = pace.rows[0], pace.line()
        batches = _all(str(row.batch) for row in pace.rows)
        text = f"{row.contender}, {row.case}: batch {batches} a GPU"
        if line is not None:
            fixed, each = (1e3 * value * row.operations_per_sample for value in line)
            text += f"; others by the line {fixed:.1f} + {each:.3f} x batch ms"
        yield f"  {text}."


def _in_proportion(runs: Sequence[tuple[Config, Pace | None]]) -> Iterator[str]:
    shares = [
        operations(config).step / pace.rows[0].operations_per_sample
        for config, pace in runs
        if pace is not None
    ]
    least, most = f"{min(shares):.2f}", f"{max(shares):.2f}"
    if (least, most) != ("1.00", "1.00"):
        yield f"  Each row in proportion to its operations: {least} to {most} times those measured."


def _gaps(scaled: Sequence[Scaled | None]) -> Iterator[str]:
    if None in scaled:
        yield (
            f"{DASH}: of some row neither this batch nor two others were measured, it does not fit "
            "into the memory, or there are more GPUs than pairs."
        )


def _exchanged(config: Config, device: str) -> str:
    megabytes, own = num_parameters(config) * FLOAT / 1e6, nvlink(device)
    node = f"{NETWORK / 1e9:.0f} GB/s a GPU (assumed)"
    if own is not None:
        node = f"NVLink {own / 1e9:.0f} GB/s each way (data sheet) among {NODE} GPUs, beyond {node}"
    return (
        f"Hours: compute-bound .. nothing of the exchange ({megabytes:.0f} MB of gradients) hidden "
        f"behind it. {node}; no latency, no waiting for data."
    )


def _wanted(read: float, stored: Stored | None) -> str:
    whose = f"its first {stored.clips:,} clips" if stored else f"{TYPICAL.clips} real clips"
    return (
        f"Loader: pairs/s of the fastest row; {read / 1e6:.3f} MB a pair (as {whose}), "
        f"{1e3 * PAIR_SECONDS:.1f} ms of a core to decode it (docs/data.md)."
    )


def _all(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(values))
