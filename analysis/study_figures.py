"""What a study came to: Pareto front or history, importances, and each key against retrieval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from tgdp.report.study import StudyReport
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.declare import Choice, Objective, Parameter, Range
from tgdp.sweep.tune.rows import is_share, short_names, word

from .theme import BLUE, GREY, ORANGE, figure, save, styled

COLUMNS = 3
"""Panels beside each other in the slices."""

NAMES = {
    "retrieval": "mean R@1 (%)",
    "hours": "hours",
    "gpu_hours": "GPU-hours",
    "peak_memory_gib": "peak memory (GiB)",
}

MARGIN = 0.05
"""Of a key's range, left free at both ends."""

ROOM = (0.09, 0.06)
"""Of the axes, that the name of a trial takes."""


def draw(report: StudyReport, folder: Path, stem: str) -> list[Path]:
    """Write the figures and return their files; none of what too few trials say nothing about."""
    with styled():
        files: list[Path] = []
        if len(report.task.study.objectives) == 2:
            files += save(front(report), folder, f"{stem}-front")
        else:
            files += save(history(report), folder, f"{stem}-history")
        if report.importances.shares:
            files += save(importances(report), folder, f"{stem}-importances")
        return files + save(slices(report), folder, f"{stem}-slices")


def front(report: StudyReport) -> Any:
    """Return the figure of all trials by both objectives, and of those that nothing beats."""
    first, second = report.task.study.objectives
    made = figure(6.4, 4.4)
    axes = made.subplots()
    _dots(axes, report, lambda trial: _value(second, trial.values[1]), first)
    best = sorted((report.trials[number] for number in report.best), key=lambda t: t.values[1])
    xs = [_value(second, trial.values[1]) for trial in best]
    ys = [_value(first, trial.values[0]) for trial in best]
    axes.step(xs, ys, where="post", color=ORANGE, linewidth=1.2, zorder=2)
    style = {"color": ORANGE, "marker": "D", "linestyle": "none", "zorder": 4}
    axes.plot(xs, ys, label="Pareto front", **style)
    axes.margins(0.1)
    for place in _apart(axes, xs, ys):
        where = (xs[place], ys[place])
        label = best[place].label
        axes.annotate(label, where, (6, -10), textcoords="offset points", fontsize=8)
    axes.set_xlabel(_name(second))
    axes.set_ylabel(_name(first))
    _head(axes, report)
    axes.legend(loc="best", fontsize=8)
    return made


def history(report: StudyReport) -> Any:
    """Return the figure of all trials in their order, and of the best so far."""
    first = report.task.study.objectives[0]
    made = figure(6.4, 4.0)
    axes = made.subplots()
    _dots(axes, report, lambda trial: trial.number, first)
    kept = [trial for trial in report.finished if trial.state == "complete"]
    values = [_value(first, trial.values[0]) for trial in kept]
    best = np.maximum.accumulate if first.direction == "maximize" else np.minimum.accumulate
    if values:
        numbers = [trial.number for trial in kept] + [len(report.trials) - 1]
        line = list(best(values))
        axes.step(numbers, [*line, line[-1]], where="post", color=ORANGE, label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel(_name(first))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _head(axes, report)
    axes.legend(loc="best", fontsize=8)
    return made


def importances(report: StudyReport) -> Any:
    """Return the figure of how much of the variance each key explains."""
    shares = report.importances.shares
    names = short_names(report.task.study.keys)
    made = figure(4.6 * len(shares), 1.4 + 0.36 * len(names))
    panels = np.atleast_1d(made.subplots(1, len(shares)))
    for axes, (quantity, found) in zip(panels, shares.items(), strict=True):
        keys = list(found)[::-1]
        bars = axes.barh([names[key] for key in keys], [100 * found[key] for key in keys], 0.6)
        for bar in bars:
            bar.set_color(BLUE)
        axes.bar_label(bars, fmt=" %.0f", fontsize=8)
        axes.set_xlim(0, 108)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("share of the variance explained (%)")
        axes.set_title(f"for {quantity}", fontsize=9, loc="left")
    made.suptitle(
        f"Importances, {report.task.name} (fANOVA, {report.importances.trials} trials)", fontsize=10
    )
    return made


def slices(report: StudyReport) -> Any:
    """Return the figure of the first objective against each key."""
    study, first = report.task.study, report.task.study.objectives[0]
    columns = min(COLUMNS, len(study.space))
    lines = -(-len(study.space) // columns)
    made = figure(3.1 * columns, 0.8 + 2.5 * lines)
    panels = list(np.atleast_1d(made.subplots(lines, columns, sharey=True)).flat)
    names = short_names(study.keys)
    for place, (axes, parameter) in enumerate(zip(panels, study.space, strict=False)):
        _slice(axes, report, parameter, first)
        axes.set_xlabel(names[parameter.key])
        if place % columns == 0:
            axes.set_ylabel(_name(first))
    for axes in panels[len(study.space) :]:
        axes.set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8)
    made.suptitle(f"{_name(first)} against each key, {report.task.name}", fontsize=10)
    return made


def _slice(axes: Axes, report: StudyReport, parameter: Parameter, first: Objective) -> None:
    if isinstance(parameter, Choice):
        words = [word(value) for value in parameter.values]
        shift = np.random.default_rng(0).uniform(-0.12, 0.12, len(report.trials))
        _dots(
            axes,
            report,
            lambda trial: words.index(word(trial.point[parameter.key])) + shift[trial.number],
            first,
        )
        axes.set_xticks(range(len(words)), words)
        axes.set_xlim(-0.5, len(words) - 0.5)
        return
    _dots(axes, report, lambda trial: trial.point[parameter.key], first)
    # All of the space: where no trial was is to be seen too.
    low, high = float(parameter.low), float(parameter.high)
    room = (high / low) ** MARGIN if parameter.log else MARGIN * (high - low)
    axes.set_xlim(*((low / room, high * room) if parameter.log else (low - room, high + room)))
    if parameter.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=_subs(parameter)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _subs(parameter: Range) -> tuple[float, ...]:
    """Return which multiples of the powers of ten get a tick: more on a short axis."""
    return (1.0, 2.0, 5.0) if parameter.high / parameter.low < 20 else (1.0,)


def _dots(axes: Axes, report: StudyReport, x: Any, first: Objective) -> None:
    """Draw the trials that have values, those of the study, imported and infeasible ones apart."""
    kinds: Sequence[tuple[str, Any, dict[str, Any]]] = (
        ("trial", lambda t: t.state == "complete" and not t.imported, {"color": BLUE}),
        ("imported", lambda t: t.state == "complete" and t.imported, _hollow(BLUE, "s")),
        ("infeasible", lambda t: t.state == "infeasible", {"color": GREY, "marker": "x"}),
    )
    for label, holds, style in kinds:
        shown: list[Trial] = [trial for trial in report.finished if holds(trial)]
        if shown:
            ys = [_value(first, trial.values[0]) for trial in shown]
            axes.scatter([x(trial) for trial in shown], ys, 26, label=label, zorder=3, **style)


def _hollow(colour: str, marker: str) -> dict[str, Any]:
    return {"facecolors": "none", "edgecolors": colour, "marker": marker}


def _head(axes: Axes, report: StudyReport) -> None:
    states = [trial.state for trial in report.trials]
    pruned = states.count("pruned")
    words = f"{len(report.finished)} trials with values" + (f", {pruned} pruned" if pruned else "")
    title = f"Study {report.task.name}: {words}\n{report.task.words}"
    axes.set_title(title, fontsize=9, loc="left", wrap=True)


def _value(objective: Objective, value: float) -> float:
    return 100 * value if is_share(objective.quantity) else value


def _name(objective: Objective) -> str:
    quantity = objective.quantity.replace("{dataset}/", "")
    if quantity in NAMES:
        return NAMES[quantity]
    return f"{quantity} (%)" if is_share(quantity) else quantity


def _apart(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> list[int]:
    """Return the points whose names are not written over each other; the table has them all."""
    points = axes.transAxes.inverted().transform(
        axes.transData.transform(list(zip(xs, ys, strict=True)))
    )
    kept: list[int] = []
    for place, point in enumerate(points):
        gaps = [abs(point - points[other]) for other in kept]
        if all(dx > ROOM[0] or dy > ROOM[1] for dx, dy in gaps):
            kept.append(place)
    return kept
