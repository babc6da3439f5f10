"""The tables for machines: a line a cell and a line a run, and where each came from."""

import pandas as pd

from tgdp.report import words
from tgdp.report.collect import FACTS
from tgdp.report.table import Entry, Row, Table


def frame(table: Table) -> pd.DataFrame:
    """Return a line for each row and metric, in the order of the table."""
    return pd.DataFrame([_line(table, row, entry) for row in table.rows for entry in row.entries])


def runs(cells: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each run, with what it was computed on: what `results/*.csv` keeps.

    Args:
        cells: What `collect` found.
    """
    left_out = {"run_id", "reason"}
    facts = [name for name in FACTS if name not in left_out]
    return cells[facts + [name for name in cells.columns if name.startswith("retrieval/")]]


def _line(table: Table, row: Row, entry: Entry) -> dict[str, object]:
    published = entry.published
    return {
        "sweep": table.sweep.name,
        "base": table.summary.base,
        "base_words": table.summary.words,
        "variant": row.label,
        "metric": entry.metric.name(table.dataset),
        "unit": "%" if entry.metric.percent else "",
        "mean": entry.mean,
        "sd": entry.sd,
        "n": len(entry.numbers),
        "wanted": row.wanted,
        "clips": "" if not row.clips else words.clips(row),
        "published": None if published is None else published.value,
        "published_source": "" if published is None else published.source,
        "published_confidence": "" if published is None else published.confidence,
        "difference": entry.difference,
        "missing": "; ".join(row.problems),
        "dataset": table.dataset,
        "fingerprint": table.fingerprint,
        "split": table.split,
        "protocol": table.protocol,
        "values": " ".join(f"{value:.6g}" for value in entry.numbers),
        "seeds": " ".join(str(seed) for seed in entry.seeds),
        "signatures": " ".join(row.signatures),
        "run_ids": " ".join(row.run_ids),
    }
