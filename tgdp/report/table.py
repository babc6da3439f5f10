"""A table before it is written: rows in declared order, ours and the published value beside it."""

from dataclasses import dataclass

from tgdp.report import stats
from tgdp.report.published import Published
from tgdp.sweep.declare import Metric, Sweep
from tgdp.sweep.track_summary import Summary


@dataclass(frozen=True)
class Entry:
    """One cell: a row under a metric.

    Attributes:
        metric: The column.
        numbers: One value a finished seed, in the unit of the column.
        seeds: The seeds of the numbers.
        published: The published number, if the paper has the row.
        clips: Number of clips that each was counted over; 0 where nobody knows.
    """

    metric: Metric
    numbers: tuple[float, ...]
    seeds: tuple[int, ...]
    published: Published | None = None
    clips: tuple[int, ...] = ()

    @property
    def mean(self) -> float | None:
        """Mean over the seeds."""
        return stats.mean(self.numbers)

    @property
    def sd(self) -> float | None:
        """Sample standard deviation over the seeds."""
        return stats.sample_sd(self.numbers)

    @property
    def difference(self) -> float | None:
        """Ours minus published."""
        theirs = self.published.value if self.published else None
        return None if self.mean is None or theirs is None else self.mean - theirs


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        label: First column.
        entries: The cells, one a metric.
        done: Seeds with numbers.
        wanted: Seeds asked for.
        clips: Number of clips retrieved among, of each finished seed.
        reason: Why there is no number, where there is none.
        problems: A line for each reason, with the seeds that have no number because of it.
        run_ids: MLflow runs of the finished seeds.
        signatures: Signatures of the finished seeds.
        seeds: The finished seeds.
    """

    label: str
    entries: tuple[Entry, ...]
    done: int
    wanted: int
    clips: tuple[int, ...]
    reason: str
    problems: tuple[str, ...]
    run_ids: tuple[str, ...]
    signatures: tuple[str, ...]
    seeds: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A sweep on one base, under one protocol, on one data set.

    Attributes:
        sweep: The declaration; the probes that its runs have stand behind its own columns.
        summary: Where it was asked for.
        rows: The rows, in declared order.
        dataset: Name of the data.
        fingerprint: Content of the data.
        split: Split that was retrieved among.
        protocol: How it was measured.
        on_training_clips: Whether the clips retrieved among were trained on.
        sanity: Rows to hold the others against, where they were asked for.
    """

    sweep: Sweep
    summary: Summary
    rows: tuple[Row, ...]
    dataset: str
    fingerprint: str
    split: str
    protocol: str
    on_training_clips: bool
    sanity: tuple[Row, ...] = ()

    @property
    def clips(self) -> tuple[int, ...]:
        """The different numbers of clips that were retrieved among."""
        return tuple(sorted({number for row in self.rows for number in row.clips}))

    def best(self, column: int) -> float | None:
        """Return the best mean of a column, or None where fewer than two rows have one."""
        key = self.sweep.metrics[column].key
        means = [m for row in self.rows if (m := row.entries[column].mean) is not None]
        if len(means) < 2:
            return None
        return min(means) if stats.lower_is_better(key) else max(means)
