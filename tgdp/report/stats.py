"""The few numbers a cell of a table is made of."""

import re
import statistics
from collections.abc import Sequence


def mean(values: Sequence[float]) -> float | None:
    """Return the mean, or None where there is nothing to average."""
    return statistics.fmean(values) if values else None


def sample_sd(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1), or None below two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def recall_rank(key: str) -> int | None:
    """Return k where the metric is recall at k, else None."""
    found = re.search(r"/r(\d+)$", key)
    return int(found[1]) if found else None


def chance(key: str, clips: int) -> float | None:
    """Return what random ranking reaches: k/N for recall at k among N clips, None for the rest."""
    rank = recall_rank(key)
    return min(1.0, rank / clips) if rank and clips else None


def lower_is_better(key: str) -> bool:
    """Say whether small values of the metric are good."""
    return key.endswith("median_rank") or "/loss/" in key
