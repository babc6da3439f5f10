"""Frames and spectrograms side by side, each on whole device pixels, so that nothing is smeared.

Measures are pixels of the PNG, counted from the top left.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from tgdp.evaluation.picture_arrays import Pixels, Shown

from .theme import DPI, GREY, figure

HIDDEN = 190
"""Grey of what the model does not see; no picture is flat and of just this value by chance."""

COLOURS = "magma"
"""Of the spectrogram: dark is quiet."""

STEP_SECONDS = 0.01
"""Of one column of the spectrogram."""

NARROWEST, WIDEST = 190, 330
"""Of a panel: titles fit above it; a longer spectrogram is squeezed."""

GAP, EDGE, FOOT = 14, 28, 58
"""Between panels, around the sheet, and below a panel that has a time axis."""

AXIS = 76
"""Left of a panel with the labels of an axis, and right of a colour bar."""

BAR = 12
"""Width of a colour bar."""

SMALL = 7.5
"""Font size of titles and ticks, points."""

LETTER = 9.5
"""Width of a letter of that size, more than the mean."""

LINE = 24
"""Height of a line of text."""


class Size(NamedTuple):
    """Width and height of a panel."""

    width: int
    height: int


class Scale(NamedTuple):
    """Log power that the darkest and the brightest colour stand for."""

    low: float
    high: float


class Sheet:
    """A figure on which everything is placed by hand.

    Args:
        width: Of the sheet.
        height: Of the sheet.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = figure(width / DPI, height / DPI)
        self.figure.set_layout_engine("none")
        self.figure.set_dpi(DPI)

    def axes(self, left: float, top: float, size: Size) -> Axes:
        """Return empty axes of exactly that size."""
        across, up = 1 / self.width, 1 / self.height
        bottom = self.height - top - size.height
        place = (left * across, bottom * up, size.width * across, size.height * up)
        made = self.figure.add_axes(place)
        made.grid(False)
        return made

    def text(self, left: float, top: float, words: str, **style: Any) -> None:
        """Write words, their top left corner there."""
        style = {"va": "top", "ha": "left", "fontsize": SMALL, **style}
        self.figure.text(left / self.width, 1 - top / self.height, words, **style)

    def heads(self, left: float, top: float, clip: Shown, detail: str = "") -> None:
        """Write which clip and frame a row of panels shows, and a detail in the line below."""
        words = f"{clip.id}   frame {clip.frame}, shown at {clip.seconds:.2f} s"
        self.text(left, top, words, fontsize=SMALL + 1, fontweight="bold")
        self.text(left, top + LINE, detail)


def wrapped(lines: Sequence[str], width: float) -> list[str]:
    """Return the lines of a caption, broken where the sheet ends."""
    return [part for line in lines for part in textwrap.wrap(line, int(width / LETTER))]


def frame_size(pixels: Pixels, side: int) -> Size:
    """Return the size of a frame's panel: a whole multiple of the frame, near to `side`."""
    height, width = pixels.shape[:2]
    times = max(1, round(side / height), math.ceil(NARROWEST / width))
    shrink = min(1.0, WIDEST / max(height, width))
    return Size(round(width * times * shrink), round(height * times * shrink))


def sound_size(sound: NDArray[Any], side: int) -> Size:
    """Return the size of a spectrogram's panel: whole multiples, unless it is long."""
    bins, steps = sound.shape[:2]
    times = max(1, round(side / bins))
    return Size(min(WIDEST, steps * max(times, math.ceil(NARROWEST / steps))), bins * times)


def scale_of(sound: NDArray[Any]) -> Scale:
    """Return the scale that all spectrograms of a clip share, from the true one."""
    # The bin without a spectral line and single loud ones would take all the colours.
    low, high = np.percentile(sound, [2, 99.8])
    return Scale(float(low), float(max(high, low + 1e-3)))


def coloured(sound: NDArray[Any], scale: Scale) -> Pixels:
    """Return a spectrogram as pixels."""
    colours = matplotlib.colormaps[COLOURS](Normalize(*scale, clip=True)(sound))
    return (colours[..., :3] * 255).round().astype(np.uint8)


def spread(cells: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Return a value a patch as a value a pixel."""
    rows, columns = shape[0] // cells.shape[0], shape[1] // cells.shape[1]
    return cells.repeat(rows, axis=0).repeat(columns, axis=1)


def veiled(pixels: Pixels, hidden: NDArray[np.bool_], trace: float = 0.0) -> Pixels:
    """Return pixels with hidden patches in flat grey.

    Args:
        pixels: What is seen.
        hidden: A value a patch.
        trace: Share of a hidden pixel that still shows through.
    """
    grey = np.round(HIDDEN + trace * (pixels.mean(axis=2, keepdims=True) - HIDDEN))
    where = spread(hidden, pixels.shape)[..., None]
    return np.where(where, grey, pixels).astype(np.uint8)


def draw_frame(axes: Axes, pixels: Pixels, title: str = "") -> None:
    """Draw a frame."""
    _picture(axes, pixels, title, origin="upper")
    axes.set_xticks([])
    axes.set_yticks([])


def draw_sound(axes: Axes, pixels: Pixels, title: str, clip: Shown, *, first: bool) -> None:
    """Draw a coloured spectrogram, low frequencies at the bottom, time of the clip below it.

    Args:
        axes: Where.
        pixels: The spectrogram, row 0 the lowest bin.
        title: Above it.
        clip: Says when the stretch begins.
        first: Whether it is the first of its row, which has the labels.
    """
    bins, steps = pixels.shape[:2]
    extent = (clip.start, clip.start + steps * STEP_SECONDS, 0, bins)
    _picture(axes, pixels, title, origin="lower", extent=extent)
    axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.set_yticks([0, bins // 2, bins] if first else [])
    axes.tick_params(labelsize=SMALL, length=3, pad=2)
    if first:
        axes.set_xlabel("time (s)", fontsize=SMALL, labelpad=1)
        axes.set_ylabel("mel bin", fontsize=SMALL, labelpad=1)


def draw_bar(axes: Axes, colours: str, scale: tuple[float, float], label: str) -> None:
    """Draw what the colours stand for."""
    mappable = ScalarMappable(Normalize(*scale), colours)
    bar = axes.figure.colorbar(mappable, cax=axes, ticks=MaxNLocator(4))
    bar.set_label(label, fontsize=SMALL, labelpad=2)
    bar.ax.tick_params(labelsize=SMALL, length=3, pad=2)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]


def _picture(axes: Axes, pixels: Pixels, title: str, **place: Any) -> None:
    # Neighbouring pixels run into one another only where there are more of them than dots.
    extent = axes.get_window_extent()
    room = (round(extent.height), round(extent.width))
    squeezed = room < pixels.shape[:2] or room[1] < pixels.shape[1]
    how = "antialiased" if squeezed else "nearest"
    axes.imshow(pixels, interpolation=how, aspect="auto", **place)
    axes.set_title(title, fontsize=SMALL, pad=3)
    for side in axes.spines.values():
        side.set(visible=True, linewidth=0.5, color=GREY)
