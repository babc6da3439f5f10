"""R@1 of every row of a sweep, both directions, ours and published: for rows that are no number."""

from pathlib import Path

from matplotlib.axes import Axes

from tgdp.report import stats, words
from tgdp.report.table import Entry, Table

from .theme import BLUE, GREY, ORANGE, figure, save, styled

STYLES = {"A→V": (BLUE, "o", -0.14), "V→A": (ORANGE, "s", 0.14)}
"""Colour, marker and place within the row of each direction."""


def draw(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write the figure and return its files; none where no row has a number yet."""
    if not any(row.done for row in table.rows):
        return []
    theirs = any(_theirs(row.entries) for row in table.rows)
    with styled():
        made = figure(9.2 if theirs else 6.2, 1.5 + 0.42 * len(table.rows))
        if theirs:
            ours, published = made.subplots(1, 2, sharey=True, width_ratios=(3, 2))
            _published(published, table)
        else:
            ours = made.subplots()
        _ours(ours, table)
        made.suptitle(table.sweep.title)
        return save(made, folder, stem)


def _first(entries: tuple[Entry, ...], heading: str) -> Entry | None:
    return next((entry for entry in entries if entry.metric.title == f"{heading} R@1"), None)


def _theirs(entries: tuple[Entry, ...]) -> dict[str, float]:
    found = {heading: _first(entries, heading) for heading in STYLES}
    return {
        heading: entry.published.value
        for heading, entry in found.items()
        if entry and entry.published and entry.published.value is not None
    }


def _ours(axes: Axes, table: Table) -> None:
    for heading, (colour, marker, shift) in STYLES.items():
        label: str | None = heading
        for place, row in enumerate(table.rows):
            entry = _first(row.entries, heading)
            if entry is None or entry.mean is None:
                continue
            axes.errorbar(
                entry.mean, place + shift, xerr=entry.sd, color=colour, marker=marker, label=label
            )
            spots = [place + shift] * len(entry.numbers)
            axes.scatter(entry.numbers, spots, 14, colour, alpha=0.45, zorder=1)
            label = None
    level = stats.chance("/r1", table.clips[0])
    if level is not None:
        label = f"chance, {100 * level:.2g} %"
        axes.axvline(100 * level, color=GREY, linestyle=":", linewidth=1.2, label=label)
    data = f"{words.span(table.clips)} clips of {table.dataset}"
    axes.set_title(
        f"Ours: {data}, {table.summary.words or table.summary.base}", fontsize=9, loc="left"
    )
    axes.set_xlabel("R@1 (%): mean, sd, and single seeds")
    axes.set_yticks(range(len(table.rows)), [row.label for row in table.rows])
    axes.set_ylim(len(table.rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.legend(loc="best", fontsize=8)


def _published(axes: Axes, table: Table) -> None:
    values: list[float] = []
    for place, row in enumerate(table.rows):
        for heading, value in _theirs(row.entries).items():
            colour, marker, shift = STYLES[heading]
            axes.plot(value, place + shift, color=colour, marker=marker, linestyle="none")
            axes.annotate(
                f"{value:.1f}",
                (value, place + shift),
                (7, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
            values.append(value)
    room = max(2.0, 0.3 * (max(values) - min(values)))
    axes.set_xlim(min(values) - room, max(values) + room)
    axes.set_title("Published: VGGSound, ViT-B (another scale)", fontsize=9, loc="left")
    axes.set_xlabel("R@1 (%)")
    axes.tick_params(axis="y", left=False, labelleft=False)
