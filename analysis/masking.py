"""R@1 against the share of patches hidden from the contrastive pass, ours and published."""

from pathlib import Path

from matplotlib.axes import Axes

from tgdp.report import stats
from tgdp.report.table import Entry, Table

from .theme import BLUE, GREY, ORANGE, figure, save, styled

STYLES = {"A→V": (BLUE, "o"), "V→A": (ORANGE, "s")}


def draw(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write the figure and return its files; none where no row has a number yet."""
    if not any(row.done for row in table.rows):
        return []
    with styled():
        made = figure(8.4, 3.6)
        ours, theirs = made.subplots(1, 2, width_ratios=(3, 2))
        _ours(ours, table)
        _published(theirs, table)
        made.suptitle(table.sweep.title)
        return save(made, folder, stem)


def _series(table: Table, heading: str) -> list[tuple[float, Entry]]:
    """Return mask ratio and R@1 of the rows, by growing ratio."""
    key = table.sweep.key or ""
    ratios = {v.label: float(v.changes[key]) for v in table.sweep.variants if key in v.changes}
    found = [
        (ratios[row.label], entry)
        for row in table.rows
        for entry in row.entries
        if row.label in ratios and entry.metric.title == f"{heading} R@1"
    ]
    return sorted(found, key=lambda pair: pair[0])


def _ours(axes: Axes, table: Table) -> None:
    for heading, (colour, marker) in STYLES.items():
        series = [(x, entry) for x, entry in _series(table, heading) if entry.mean is not None]
        xs = [x for x, _ in series]
        means = [entry.mean or 0.0 for _, entry in series]
        sds = [entry.sd or 0.0 for _, entry in series]
        axes.plot(xs, means, color=colour, marker=marker, label=f"{heading}, mean ± sd")
        low = [mean - sd for mean, sd in zip(means, sds, strict=True)]
        high = [mean + sd for mean, sd in zip(means, sds, strict=True)]
        axes.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)
        dots = [(x, value) for x, entry in series for value in entry.numbers]
        axes.scatter(*zip(*dots, strict=True), s=12, color=colour, alpha=0.6, zorder=3)
    _chance(axes, table)
    where = f"N = {table.clips[0]} clips of {table.dataset}, {table.summary.words or 'our base'}"
    _finish(axes, f"Ours (dots: single seeds)\n{where}")
    axes.legend(loc="best", fontsize=8)


def _chance(axes: Axes, table: Table) -> None:
    level = stats.chance("r/r1", table.clips[0])
    if level is not None:
        label = f"chance, {100 * level:.2g} %"
        axes.axhline(100 * level, color=GREY, linestyle=":", linewidth=1.2, label=label)


def _published(axes: Axes, table: Table) -> None:
    series = [
        (x, entry.published.value)
        for x, entry in _series(table, "A→V")
        if entry.published and entry.published.value is not None
    ]
    if series:
        xs, values = zip(*series, strict=True)
        axes.plot(xs, values, color=GREY, marker="D", linestyle="--")
        for x, value in series:
            axes.annotate(
                f"{value:.1f}", (x, value), (0, 6), textcoords="offset points", ha="center"
            )
        axes.set_ylim(min(values) - 2, max(values) + 2)
    _finish(axes, "Published, A→V only\nVGGSound, ViT-B: another scale")
    axes.sharex(axes.figure.axes[0])


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("contrastive mask ratio")
    axes.set_ylabel("R@1 (%)")
