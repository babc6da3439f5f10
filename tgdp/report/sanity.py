"""Rows below a table that no row should be below or above, measured once and kept as files.

Nothing here imports torch: a table is printed again from `results/sanity/` in a moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tgdp.config import Config, load, override
from tgdp.data.synthetic.spec import EMBEDDED
from tgdp.errors import UserError
from tgdp.report import stats
from tgdp.report.probes import ProbeMetric
from tgdp.report.sanity_kept import MeasuringError, Say, numbers
from tgdp.report.sanity_probes import Told, told
from tgdp.report.sanity_request import CHANCE, MEAN, ORACLE, UNTRAINED, Request
from tgdp.report.table import Entry, Row, Table
from tgdp.sweep.declare import Metric, Variant
from tgdp.sweep.track import Tracked

SHAPE = ("model.", "data.")
"""Keys that make another untrained encoder, or show it other inputs."""


def _nothing(text: str) -> None:
    """Say nothing."""


def rows(
    results: Path, table: Table, tracked: Tracked, progress: Say = _nothing, warn: Say = _nothing
) -> tuple[Row, ...]:
    """Return the sanity rows of a table; none where it has no finished run.

    Args:
        results: The results folder.
        table: The table.
        tracked: What the store holds: it says where the runs lie.
        progress: Called with words for what is measured next.
        warn: Called with the reason why the embedded benchmark has no oracle here, and why there
            is a dash under a probe.

    Raises:
        UserError: The run that they start from or its data is not on this machine, or a file
            cannot be read or written.
    """
    if not table.clips:
        return ()
    config = base(table, tracked)
    metrics = enumerate(table.sweep.metrics)
    probed = {c: told(table, c, tracked) for c, m in metrics if isinstance(m, ProbeMetric)}
    bench = _Bench(results, table, config, probed, progress)
    made = [bench.chance(), bench.measured(MEAN), bench.measured(UNTRAINED)]
    if config.data.name == EMBEDDED.name:
        try:
            made.append(bench.measured(ORACLE))
        except UserError as error:
            warn(f"no row '{ORACLE}': {error}")
    for (title, why), labels in bench.dashes.items():
        warn(f"no {', '.join(labels)} under {title}: {why}")
    return tuple(made)


def base(table: Table, tracked: Tracked) -> Config:
    """Return a run's configuration that has the base's model and data, if any row has.

    Args:
        table: The table.
        tracked: What the store holds.

    Raises:
        UserError: The folder of that run is not on this machine.
    """
    changes = {variant.label: variant for variant in table.sweep.variants}
    done = [row for row in table.rows if row.signatures]
    alike = [row for row in done if not _is_reshaped(changes.get(row.label))]
    run = tracked.runs[(alike or done)[0].signatures[0]]
    folder = Path(run.tags.get("tgdp.directory", ""))
    try:
        return load(folder / "config.yaml")
    except UserError as error:
        raise UserError(f"--sanity: the rows start from run {folder.name}: {error}") from error


def _is_reshaped(variant: Variant | None) -> bool:
    return variant is not None and any(key.startswith(SHAPE) for key in variant.changes)


@dataclass(frozen=True)
class _Bench:
    """Makes the rows of a table.

    Attributes:
        results: The results folder.
        table: The table.
        config: Of the base: model and data.
        probed: What is known of the columns of probes, by their place.
        progress: Called with words for what is measured next.
        dashes: Rows that lack a probe, by the title of its column and the reason.
    """

    results: Path
    table: Table
    config: Config
    probed: Mapping[int, Told]
    progress: Say
    dashes: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def chance(self) -> Row:
        """Return what guessing gets."""
        entries: list[Entry] = []
        for place, metric in enumerate(self.table.sweep.metrics):
            if isinstance(metric, ProbeMetric):
                known = self.probed[place]
                level, clips = known.chance, known.clips
                if level is None:
                    self._dash(CHANCE, metric, known.no_chance)
            else:
                clips = self.table.clips[0]
                level = stats.chance(metric.key, clips)
            found = () if level is None else (100 * level,)
            entries.append(Entry(metric, found, (), clips=(clips,) * len(found)))
        return _as_row(CHANCE, entries)

    def measured(self, label: str) -> Row:
        """Return a row that is measured; the causes of a clip depend on no seed."""
        table = self.table
        seeds = sorted({seed for row in table.rows for seed in row.seeds})
        start = Request(label, self.config, table.protocol, table.fingerprint, table.split)
        retrieved = self._numbers(start, seeds)
        return _as_row(
            label,
            [
                self._probe(label, metric, self.probed[place])
                if isinstance(metric, ProbeMetric)
                else _entry(metric, metric.key.rpartition("{dataset}/")[2], retrieved)
                for place, metric in enumerate(table.sweep.metrics)
            ],
        )

    def _probe(self, label: str, metric: ProbeMetric, known: Told) -> Entry:
        if known.probe is None:
            return self._dash(label, metric, known.no_probe)
        split, fingerprint, _ = metric.facts
        start = Request(label, self.config, metric.protocol, fingerprint, split, known.probe)
        try:
            found = self._numbers(start, known.seeds)
        except MeasuringError as error:
            return self._dash(label, metric, str(error))
        return _entry(metric, metric.column.rpartition("/")[2], found)

    def _numbers(self, start: Request, seeds: Sequence[int]) -> dict[int | None, Mapping[str, Any]]:
        """Return the numbers by seed; by None where they depend on none."""
        if start.row == ORACLE:
            return {None: numbers(self.results, start, self.progress)}
        return {
            seed: numbers(
                self.results,
                replace(start, config=override(self.config, {"seed": seed})),
                self.progress,
            )
            for seed in seeds
        }

    def _dash(self, label: str, metric: Metric, why: str) -> Entry:
        self.dashes.setdefault((metric.title, why), []).append(f"'{label}'")
        return Entry(metric, (), ())


def _entry(metric: Metric, name: str, found: Mapping[int | None, Mapping[str, Any]]) -> Entry:
    scale = 100 if metric.percent else 1
    held = {seed: one for seed, one in found.items() if name in one["metrics"]}
    return Entry(
        metric,
        numbers=tuple(scale * float(one["metrics"][name]) for one in held.values()),
        seeds=tuple(seed for seed in held if seed is not None),
        clips=tuple(int(one["n"]) for one in held.values()),
    )


def _as_row(label: str, entries: Sequence[Entry]) -> Row:
    done = max(len(entry.seeds) for entry in entries)
    clips = max((entry.clips for entry in entries), key=len)
    return Row(label, tuple(entries), done, done, clips, "", (), (), ())
