"""Priority of every patch of a few clips, and what stays visible by it at several ratios."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tgdp.evaluation.picture_arrays import Pixels, Priorities, RankedClip, Ranking, Shown

from . import panels
from .panels import AXIS, BAR, EDGE, FOOT, GAP, LINE, Sheet, Size
from .theme import png, styled

HEAT = "viridis"
"""Colours of the priority; not those of the spectrogram."""

SHARE = 0.65
"""Of the heat in the mixture with the picture below it."""

TRACE = 0.12
"""Share of a dropped patch that shows through the grey."""

FRAME_SIDE, SOUND_SIDE = 192, 128
"""About as high as a frame and a spectrogram are drawn."""

WORDS = {
    "cls_to_patch": "the CLS's attention to each patch",
    "patch_to_cls": "each patch's attention to the CLS",
}


class Line(NamedTuple):
    """Where a line of panels stands and how one of them is drawn."""

    sheet: Sheet
    top: int
    lefts: list[int]
    size: Size
    draw: Callable[[Axes, Pixels, str, bool], None]


def draw(made: Priorities) -> bytes:
    """Return the picture as a PNG file, two lines a clip: the frame and the spectrogram."""
    first = made.clips[0].shown
    frame = panels.frame_size(first.image, FRAME_SIDE)
    sound = panels.sound_size(first.audio, SOUND_SIDE)
    row = 4 * LINE + frame.height + sound.height + FOOT
    column = max(frame.width, sound.width) + GAP
    lefts = _lefts(2 + len(made.ratios), column)
    words = panels.wrapped(_caption(made), lefts[-1] + column - lefts[0])
    with styled():
        end = EDGE + row * len(made.clips)
        sheet = Sheet(lefts[-1] + column + EDGE, end + LINE * len(words) + EDGE)
        for number, clip in enumerate(made.clips):
            _rows(sheet, EDGE + number * row, lefts, (frame, sound), made, clip)
        for number, line in enumerate(words):
            sheet.text(lefts[0], end + number * LINE, line)
        return png(sheet.figure)


def _lefts(columns: int, width: int) -> list[int]:
    """Return where the columns begin; behind the second one there is room for a colour bar."""
    bar = BAR + AXIS
    return [EDGE + AXIS + number * width + bar * (number > 1) for number in range(columns)]


def _rows(
    sheet: Sheet,
    top: int,
    lefts: list[int],
    sizes: tuple[Size, Size],
    made: Priorities,
    clip: RankedClip,
) -> None:
    shown, (frame, sound) = clip.shown, sizes
    whose = "Teacher" if made.ranked_by == "teacher" else "Student (the run has no teacher)"
    sheet.heads(lefts[0], top, shown, f"{whose}: {WORDS[clip.direction]}")
    # A line with the narrower panels stands in the middle of its columns.
    inset = (max(frame.width, sound.width) - np.array([frame.width, sound.width])) // 2
    line = Line(sheet, top + 3 * LINE, [x + int(inset[0]) for x in lefts], frame, _draw_frame)
    _line(line, shown.image, clip.image, made.ratios)
    top += 4 * LINE + frame.height
    line = Line(sheet, top, [x + int(inset[1]) for x in lefts], sound, partial(_draw_sound, shown))
    pixels = panels.coloured(shown.audio, panels.scale_of(shown.audio))
    _line(line, pixels, clip.audio, made.ratios)


def _line(line: Line, pixels: Pixels, ranking: Ranking, ratios: tuple[float, ...]) -> None:
    highest = float(ranking.priority.max())
    shown = [("input", pixels), ("priority", _heated(pixels, ranking.priority / highest))]
    shown += [
        (f"{100 * ratio:.0f} % dropped", panels.veiled(pixels, ~kept, TRACE))
        for ratio, kept in zip(ratios, ranking.kept, strict=True)
    ]
    for number, (title, one) in enumerate(shown):
        axes = line.sheet.axes(line.lefts[number], line.top, line.size)
        line.draw(axes, one, title, number == 0)
    left = line.lefts[1] + line.size.width + GAP
    bar = line.sheet.axes(left, line.top, Size(BAR, line.size.height))
    panels.draw_bar(bar, HEAT, (0, highest), "× mean")


def _heated(pixels: Pixels, heat: NDArray[np.float32]) -> Pixels:
    """Return the picture in grey below the heat, which is from 0 to 1."""
    grey = pixels.mean(axis=2, keepdims=True)
    colours = matplotlib.colormaps[HEAT](panels.spread(heat, pixels.shape))[..., :3] * 255
    return np.round(SHARE * colours + (1 - SHARE) * grey).astype(np.uint8)


def _draw_frame(axes: Axes, pixels: Pixels, title: str, first: bool) -> None:
    del first
    panels.draw_frame(axes, pixels, title)


def _draw_sound(clip: Shown, axes: Axes, pixels: Pixels, title: str, first: bool) -> None:
    panels.draw_sound(axes, pixels, title, clip, first=first)


def _caption(made: Priorities) -> list[str]:
    source = made.source
    return [
        f"Run {source.run}, step {source.step}; clips of {source.dataset}, split "
        f"'{source.split}'. Priority: full view, last joint layer, mean of the heads.",
        f"Highest priority stays (rule 'guided'). The run's own contrastive path: {made.own_rule}.",
        f"The released code's shuffled ranks keep {100 * made.overlap:.0f} % of the half with the "
        "highest priority here (chance: 50 %).",
    ]
