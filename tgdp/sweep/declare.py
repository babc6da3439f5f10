"""A sweep as data: the question, the rows, the columns. Nothing else knows a label."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tgdp.config import Config, override, signatures
from tgdp.model.content import named_by_content


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        key: Metric name, with `{dataset}` where the name of the data belongs.
        title: Column head.
        published: Where the published value stands in `results/published.csv`: dataset, direction
            ("A->V", "V->A" or "-") and metric; None where nobody published one.
        percent: Shown times 100.
    """

    key: str
    title: str
    published: tuple[str, str, str] | None = None
    percent: bool = True

    def name(self, dataset: str) -> str:
        """Return the metric's full name on one dataset."""
        return self.key.format(dataset=dataset)


@dataclass(frozen=True)
class Variant:
    """A row of the table.

    Attributes:
        label: First column.
        changes: Dotted keys that differ from the base; none for the base itself.
        published: Method in `results/published.csv`, of the sweep's table or as (table, method);
            None where no paper has such a row.
    """

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    published: str | tuple[str, str] | None = None


@dataclass(frozen=True)
class Sweep:
    """An ablation: one question, its rows, its columns.

    Attributes:
        name: Command line name; the file in `sweeps/` has the same.
        title: Caption of the table.
        question: What it answers, in one sentence.
        source: `table` of the published rows in `results/published.csv`; empty where the question
            goes beyond the paper.
        variants: The rows, in the order of the table.
        metrics: The columns.
        common: Dotted keys in which every row differs from the preset; `--set` goes on top.
        key: Dotted key that the rows vary, where it is a single number to plot against.
        seeds: Seeds of every row.
    """

    name: str
    title: str
    question: str
    source: str
    variants: tuple[Variant, ...]
    metrics: tuple[Metric, ...]
    common: Mapping[str, Any] = field(default_factory=dict[str, Any])
    key: str | None = None
    seeds: tuple[int, ...] = (0, 1)


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: a row and a seed, resolved.

    Attributes:
        variant: The row.
        seed: Of the run.
        row: Its configuration, but for the seed.
        signature: Its name.
    """

    variant: Variant
    seed: int
    row: Config
    signature: str

    @cached_property
    def config(self) -> Config:
        """Its configuration; of ten thousand runs a plan looks into a few."""
        return self.row.model_copy(update={"seed": self.seed})


def expand(sweep: Sweep, base: Config, seeds: tuple[int, ...] | None = None) -> tuple[Cell, ...]:
    """Return every run of a sweep, seed by seed, so that a first whole row of each is there early.

    Args:
        sweep: The declaration.
        base: What every variant starts from, with preset, data and `--set` already applied.
        seeds: Instead of the sweep's own.

    Raises:
        UserError: A variant changes a key that does not exist, or to a value that is not valid.
    """
    # Once a row, not once a run: what it starts from may be a large file to read.
    rows = [(variant, _row(sweep, variant, base)) for variant in sweep.variants]
    seeds = seeds or sweep.seeds
    for seed in seeds:
        override(base, {"seed": seed})  # Checked once, not once a row.
    names = [signatures(row, seeds) for _, row in rows]
    cells: list[Cell] = []
    for index, seed in enumerate(seeds):
        for (variant, row), of_row in zip(rows, names, strict=True):
            cells.append(Cell(variant, seed, row, of_row[index]))
    return tuple(cells)


def _row(sweep: Sweep, variant: Variant, base: Config) -> Config:
    where = f"sweep {sweep.name}, row '{variant.label}'"
    return named_by_content(override(base, variant.changes, where))


RETRIEVAL = (
    Metric("retrieval/{dataset}/a2v/r1", "A→V R@1", ("VGGSound", "A->V", "R@1")),
    Metric("retrieval/{dataset}/a2v/r5", "A→V R@5", ("VGGSound", "A->V", "R@5")),
    Metric("retrieval/{dataset}/a2v/r10", "A→V R@10", ("VGGSound", "A->V", "R@10")),
    Metric("retrieval/{dataset}/v2a/r1", "V→A R@1", ("VGGSound", "V->A", "R@1")),
    Metric("retrieval/{dataset}/v2a/r5", "V→A R@5", ("VGGSound", "V->A", "R@5")),
    Metric("retrieval/{dataset}/v2a/r10", "V→A R@10", ("VGGSound", "V->A", "R@10")),
)
"""The zero-shot retrieval columns (method section 4)."""
