"""R@1 against the share of patches hidden from the contrastive pass, ours and published."""

from pathlib import Path

from matplotlib.axes import Axes

from tgdp.report import stats, words
from tgdp.report.table import Entry, Table

from .theme import BLUE, GREY, ORANGE, figure, save, styled

STYLES = {"A→V": (BLUE, "o"), "V→A": (ORANGE, "s")}


def draw(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write the figure and return its files; none where no row has a number yet."""
    if not any(row.done for row in table.rows):
        return []
    with styled():
        made = figure(9.2, 3.8)
        ours, theirs = made.subplots(1, 2, width_ratios=(5, 4))
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
        low = [mean - sd for mean, sd in zip(means, sds, strict=True)]
        high = [mean + sd for mean, sd in zip(means, sds, strict=True)]
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(xs, means, color=colour, label=f"{heading}, mean (band: sd)")
        dots = [(x, value) for x, entry in series for value in entry.numbers]
        where, values = zip(*dots, strict=True)
        style = {"marker": marker, "edgecolors": "white", "zorder": 3}
        axes.scatter(where, values, 26, colour, **style)
    _chance(axes, table)
    data = f"{words.span(table.clips)} clips of {table.dataset}"
    _finish(axes, table, f"Ours: {data}, {table.summary.words or table.summary.base}")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best", fontsize=8, title="dots: single seeds", title_fontsize=8)


def _chance(axes: Axes, table: Table) -> None:
    level = stats.chance("/r1", table.clips[0])
    if level is not None:
        label = f"chance, {100 * level:.2g} %"
        axes.axhline(100 * level, color=GREY, linestyle=":", linewidth=1.2, label=label)


def _published(axes: Axes, table: Table) -> None:
    beside = [(x, entry.published) for x, entry in _series(table, "A→V") if entry.published]
    series = [(x, found.value) for x, found in beside if found.value is not None]
    unknown = ", ".join(f"{x:.2f}" for x, found in beside if found.value is None)
    if series:
        xs, values = zip(*series, strict=True)
        axes.plot(xs, values, color=GREY, marker="D", linestyle="--")
        for x, value in series:
            axes.annotate(f"{value:.1f}", (x, value), (6, 5), textcoords="offset points")
        axes.set_ylim(min(values) - 2, max(values) + 2)
    if unknown:
        note = f"{unknown}: in the paper, value not found"
        axes.text(0.03, 0.04, note, transform=axes.transAxes, fontsize=8, color=GREY)
    _finish(axes, table, "Published: VGGSound, ViT-B, A→V (another scale)")


def _finish(axes: Axes, table: Table, title: str) -> None:
    ratios = [x for x, _ in _series(table, "A→V")]
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xticks(ratios, [f"{x:.2f}" for x in ratios])
    axes.set_xlim(min(ratios) - 0.05, max(ratios) + 0.05)
    axes.set_xlabel("contrastive mask ratio")
    axes.set_ylabel("R@1 (%)")
