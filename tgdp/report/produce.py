"""From the store to files, and back into the store: what `tgdp-report` and a sweep's end do."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.report import figures, latex, markdown, notes, published, trace, views
from tgdp.report.build import build
from tgdp.report.collect import collect
from tgdp.report.table import Row, Table
from tgdp.sweep import track
from tgdp.sweep.declare import Sweep, expand
from tgdp.sweep.discover import load_sweep, sweep_names
from tgdp.sweep.resolve import DEFAULT_PRESET, Words, resolve_base
from tgdp.sweep.track_summary import Summary, Update

DRAWN = (".png", ".pdf", "-probes.png", "-probes.pdf")
"""Endings of the figures of a table."""

Sane = Callable[[Table, track.Tracked], tuple[Row, ...]]


@dataclass(frozen=True)
class Made:
    """A table and the files it was written to.

    Attributes:
        table: The table.
        stem: Name of its files.
        tables: The markdown, csv and tex files.
        figures: The figure's files.
    """

    table: Table
    stem: str
    tables: tuple[Path, ...] = ()
    figures: tuple[Path, ...] = ()


def write(results: Path, wanted: Sequence[Sweep], sane: Sane | None = None) -> list[Made]:
    """Write the tables and figures of some sweeps and put them into the store, newest first.

    Args:
        results: The results folder.
        wanted: The sweeps.
        sane: Returns the sanity rows of a table, where they are asked for.

    Raises:
        UserError: The store cannot be reached, or a file cannot be written.
    """
    tracked = track.read(results)
    shelf = published.load(results)
    made: list[Made] = []
    for sweep in wanted:
        mine = [summary for summary in tracked.summaries if summary.sweep == sweep.name]
        for place, summary in enumerate(mine):
            cells = collect(tracked, summary)
            built = build(sweep, summary, cells, shelf)
            if sane is not None:
                built = [replace(table, sanity=sane(table, tracked)) for table in built]
            stem = sweep.name if place == 0 else other_stem(summary)
            for old in (other_stem(summary), stem, *(f"{stem}-{n}" for n in range(2, 9))):
                _forget(results, old)
            made += [_write(results, table, stem, n) for n, table in enumerate(built)]
            _write_texts(results, {f"{stem}-runs.csv": trace.runs(cells).to_csv(index=False)})
    _publish(results, tracked.experiment_id, made)
    return made


def every(names: Sequence[str]) -> list[Sweep]:
    """Return the named sweeps, or all of them.

    Raises:
        UserError: There is no sweep of that name.
    """
    return [load_sweep(name) for name in names or sweep_names()]


def asked(results: Path) -> list[Sweep]:
    """Return the sweeps that have a table in the store and a declaration on disk."""
    names = {summary.sweep for summary in track.read(results).summaries}
    return [load_sweep(name) for name in sweep_names() if name in names]


def ask(
    results: Path,
    wanted: Sequence[Sweep],
    preset: str | None,
    data: Path | None,
    assignments: tuple[str, ...],
) -> None:
    """Make the table of one base the newest of each sweep, whether it has runs yet or not.

    Raises:
        UserError: A name, a key or the data folder is not valid, or the store cannot be reached.
    """
    words = Words(preset or DEFAULT_PRESET, data, assignments)
    for sweep in wanted:
        base = resolve_base(sweep, words, results).config
        told = words.describe(base.data.name)
        track.sync_sweep(results, sweep, expand(sweep, base), told)


def other_stem(summary: Summary) -> str:
    """Return the file name of a table that is not the newest of its sweep."""
    words = "-".join("".join(c if c.isalnum() else " " for c in summary.words).split())
    return "-".join(filter(None, (summary.sweep, words[:40], summary.base)))


def _forget(results: Path, stem: str) -> None:
    """Remove what an earlier call wrote under a name that nothing has now."""
    for folder in ("tables", "figures"):
        for ending in (".md", ".csv", ".tex", "-runs.csv", *DRAWN):
            (results / folder / f"{stem}{ending}").unlink(missing_ok=True)


def _write(results: Path, table: Table, stem: str, number: int) -> Made:
    # Numbers that must not be compared lie in files of their own.
    stem = stem if number == 0 else f"{stem}-{number + 1}"
    texts = {
        f"{stem}.md": markdown.render(table),
        f"{stem}.csv": trace.frame(table).to_csv(index=False),
        f"{stem}.tex": latex.render(table),
    }
    written = _write_texts(results, texts)
    try:
        drawn = figures.draw(table, results / "figures", stem)
    except OSError as error:
        raise UserError(f"{results / 'figures'}: cannot write ({error.strerror})") from error
    return Made(table, stem, written, tuple(drawn))


def _write_texts(results: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    folder = results / "tables"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_whole(folder / name, text)
    except OSError as error:
        raise UserError(f"{folder}: cannot write ({error.strerror})") from error
    return tuple(folder / name for name in texts)


def _publish(results: Path, experiment_id: str, made: Sequence[Made]) -> None:
    # The first table of a summary speaks for it; others only exist where data got mixed up.
    first: dict[str, Made] = {}
    for one in made:
        first.setdefault(one.table.summary.run_id, one)
    pages = [views.view(m.table.sweep, m.table.summary, m.table.dataset) for m in first.values()]
    updates = [
        Update(
            one.table.summary,
            numbers(one.table),
            (*one.tables, *one.figures),
            notes.of_summary(one.table, page, experiment_id),
        )
        for one, page in zip(first.values(), pages, strict=True)
    ]
    tags = {page.tag: page.value for page in pages}
    if first:
        tables = [one.table for one in first.values()]
        tags["mlflow.note.content"] = notes.of_experiment(tables, pages, experiment_id)
    track.publish(results, updates, tags)


def numbers(table: Table) -> dict[str, float]:
    """Return the table as metrics of its summary run: `mean/a2v_r1/0.50` and so on."""
    found: dict[str, float] = {}
    for row in table.rows:
        for entry in row.entries:
            name = entry.metric.key.rpartition("{dataset}/")[2].replace("/", "_")
            values = {"mean": entry.mean, "sd": entry.sd, "n": float(len(entry.numbers))}
            for kind, value in values.items():
                if value is not None and math.isfinite(value):
                    found[f"{kind}/{name}/{row.label}"] = value
    return found
