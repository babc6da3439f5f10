"""The tables for machines: a line a cell and a line a run, and where each came from."""

import pandas as pd

from tgdp.report import words
from tgdp.report.collect import FACTS
from tgdp.report.probes import ProbeMetric
from tgdp.report.table import Entry, Row, Table


def frame(table: Table) -> pd.DataFrame:
    """Return a line for each row and metric, in the order of the table; sanity rows last."""
    rows = [("row", row) for row in table.rows] + [("sanity", row) for row in table.sanity]
    return pd.DataFrame([_line(table, row, e, kind) for kind, row in rows for e in row.entries])


def runs(cells: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each run, with what it was computed on: what `results/*.csv` keeps.

    Args:
        cells: What `collect` found.
    """
    left_out = {"run_id", "reason", "measured"}
    facts = [name for name in FACTS if name not in left_out]
    results = ("retrieval/", "probe-")
    return cells[facts + [name for name in cells.columns if name.startswith(results)]]


def _line(table: Table, row: Row, entry: Entry, kind: str) -> dict[str, object]:
    published, metric = entry.published, entry.metric
    dataset, fingerprint = table.dataset, table.fingerprint
    split, protocol, name = table.split, table.protocol, metric.name(table.dataset)
    runs = list(zip(row.seeds, row.signatures, row.run_ids, strict=True))
    mine = [run for run in runs if run[0] in entry.seeds]
    if isinstance(metric, ProbeMetric):
        (split, fingerprint, _), dataset = metric.facts, metric.dataset
        protocol, name = metric.protocol, metric.column
    return {
        "sweep": table.sweep.name,
        "base": table.summary.base,
        "base_words": table.summary.words,
        "variant": row.label,
        "metric": name,
        "unit": "%" if entry.metric.percent else "",
        "mean": entry.mean,
        "sd": entry.sd,
        "n": len(entry.numbers),
        "wanted": row.wanted,
        "clips": words.span(entry.clips) if any(entry.clips) else "",
        "published": None if published is None else published.value,
        "published_source": "" if published is None else published.source,
        "published_confidence": "" if published is None else published.confidence,
        "difference": entry.difference,
        "missing": "; ".join(row.problems),
        "dataset": dataset,
        "fingerprint": fingerprint,
        "split": split,
        "protocol": protocol,
        "values": " ".join(f"{value:.6g}" for value in entry.numbers),
        "seeds": " ".join(str(seed) for seed in entry.seeds),
        "signatures": " ".join(signature for _, signature, _ in mine),
        "run_ids": " ".join(run_id for _, _, run_id in mine),
        "kind": kind,
    }
