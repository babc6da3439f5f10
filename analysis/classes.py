"""The best and the worst classes by name, and where all of them lie."""

import pandas as pd
from matplotlib.axes import Axes

from tgdp.report.classes import ByClass

from .theme import BLUE, GREY, ORANGE, figure, png, styled

NAMED = 20
"""Classes named at each end; where there are no more than twice as many, all are named."""

STYLES = ((BLUE, "o", 2.5), (ORANGE, "s", 1.0))
"""Colour, marker and size of the first and the second figure; the second never hides the first."""

LETTERS = 36
"""Longest name of a class; AudioSet has some of 60."""

LINE = 0.21
"""Height of a named class, inches."""


def draw(made: ByClass) -> bytes:
    """Return the picture as a PNG file."""
    few = len(made.frame) <= 2 * NAMED
    named = len(made.frame) if few else NAMED
    with styled():
        height = 1.5 + LINE * named
        drawn = figure(7.2 if few else 11.5, height if few else height + 2.6)
        drawn.suptitle(f"Run {made.run}: {made.words}", fontsize=10)
        if few:
            whole = drawn.subplots()
            _named(whole, made, made.frame, f"All {len(made.frame)} classes")
        else:
            axes = drawn.subplot_mosaic("bw;aa", height_ratios=(height, 2.4))
            best, worst = made.frame.head(NAMED), made.frame.tail(NAMED)
            _named(axes["b"], made, best, f"The {NAMED} best{_and_more(made, best, -1)}")
            _named(axes["w"], made, worst, f"The {NAMED} worst{_and_more(made, worst, 0)}")
            axes["w"].sharex(axes["b"])
            whole = axes["a"]
            _all(whole, made)
        handles, labels = whole.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
        return png(drawn)


def _named(axes: Axes, made: ByClass, frame: pd.DataFrame, title: str) -> None:
    places = range(len(frame))
    for (name, words), (colour, marker, size) in zip(made.shown.items(), STYLES, strict=False):
        values = [100 * float(value) for value in frame[name]]
        style = {"color": colour, "marker": marker, "zorder": 3, "clip_on": False}
        axes.scatter(values, places, 18 * size, label=words, **style)
    if len(made.shown) == 2:
        # Which two points are of one class.
        low, high = frame[list(made.shown)].min(axis=1), frame[list(made.shown)].max(axis=1)
        axes.hlines(places, 100 * low, 100 * high, color=GREY, linewidth=1, alpha=0.5)
    _chance(axes, made, upright=True)
    names = [f"{_short(name)} ({n})" for name, n in zip(frame["name"], frame["n"], strict=True)]
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(len(frame) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel(f"{_what(made)} (%); in brackets: clips of the class", fontsize=8)
    axes.set_title(title, fontsize=9, loc="left")


def _and_more(made: ByClass, frame: pd.DataFrame, edge: int) -> str:
    """Say how many classes that are not named equal the one at the edge of those that are."""
    names = list(made.shown)
    value = frame[names].mean(axis=1).iloc[edge]
    rest = made.frame.drop(index=frame.index)
    equal = int((rest[names].mean(axis=1) == value).sum())
    which = "last" if edge else "first"
    return f" ({equal} more equal the {which} of them)" if equal else ""


def _all(axes: Axes, made: ByClass) -> None:
    count = len(made.frame)
    for (name, words), (colour, marker, size) in zip(made.shown.items(), STYLES, strict=False):
        values = sorted((100 * float(value) for value in made.frame[name]), reverse=True)
        mean = sum(values) / count
        label = f"{words}, mean over classes {mean:.1f} %"
        axes.plot(range(1, count + 1), values, color=colour, linewidth=1, alpha=0.5)
        style = {"color": colour, "marker": marker, "zorder": 3}
        axes.scatter(range(1, count + 1), values, 5 * size, label=label, **style)
        axes.axhline(mean, color=colour, linewidth=1, linestyle="--")
    _chance(axes, made, upright=False)
    axes.set_xlim(0, count + 1)
    axes.set_ylim(-2, 102)
    axes.set_xlabel(f"the {count} classes, each figure sorted by itself", fontsize=8)
    axes.set_ylabel(f"{_what(made)} (%)", fontsize=8)
    axes.set_title(f"All {count} classes", fontsize=9, loc="left")


def _chance(axes: Axes, made: ByClass, *, upright: bool) -> None:
    if made.chance is not None:
        line = axes.axvline if upright else axes.axhline
        label = f"chance, {100 * made.chance:.2g} %"
        line(100 * made.chance, color=GREY, linestyle=":", linewidth=1.2, label=label)


def _what(made: ByClass) -> str:
    names = list(made.shown.values())
    return names[0] if len(names) == 1 else names[0].rpartition(" ")[2]


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
