"""Steps that nobody timed: 40 ms and 1 ms a pair, so that times can be reckoned in one's head."""

from pathlib import Path
from typing import Any

from tgdp import presets
from tgdp.bench.step_rows import Row, append_csv
from tgdp.model.operations import operations
from tgdp.sweep.throughput import FILE, Pace

CARD = "NVIDIA H200"
WORK = operations(presets.paper()).step


def row(batch: int, ms: float | None, **changes: Any) -> Row:
    """Return a row of the preset `paper`."""
    said: dict[str, Any] = {
        "date": "2026-11-26",
        "device": CARD,
        "torch": "2.11.0",
        "preset": "paper",
        "case": "dual + teacher",
        "contender": "ours",
        "precision": "bfloat16",
        "operations_per_sample": WORK,
    }
    empty = dict.fromkeys(("q25_ms", "q75_ms", "samples_per_s", "mfu", "peak_gib"))
    return Row(**(said | empty | {"batch": batch, "median_ms": ms} | changes))


ROWS = (row(64, 104.0), row(256, 296.0), row(512, 552.0))
PACE = Pace(ROWS)


def write(folder: Path, *rows: Row) -> Path:
    """Write rows as `tgdp-bench step --csv` does."""
    for one in rows:
        append_csv(folder / FILE, one)
    return folder / FILE
