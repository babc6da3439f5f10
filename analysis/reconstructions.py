"""Input, masked input, prediction and composite of a few clips: frame and spectrogram."""

import numpy as np

from tgdp.evaluation.picture_arrays import FilledIn, ReconstructedClip, Reconstructions

from . import panels
from .panels import AXIS, BAR, EDGE, FOOT, GAP, LINE, Sheet, Size
from .theme import png, styled

SIDE = 240
"""About as high as a frame and a spectrogram are drawn."""

Panel = tuple[str, np.ndarray]
"""Title and pixels."""


def draw(made: Reconstructions) -> bytes:
    """Return the picture as a PNG file, a row a clip."""
    first = made.clips[0].shown
    frame, sound = panels.frame_size(first.image, SIDE), panels.sound_size(first.audio, SIDE)
    row = 2 * LINE + max(frame.height, sound.height) + FOOT
    width = 2 * EDGE + 4 * (frame.width + sound.width + GAP) + 3 * GAP + 2 * AXIS + BAR
    words = panels.wrapped(_caption(made), width - 2 * EDGE)
    with styled():
        end = EDGE + row * len(made.clips)
        sheet = Sheet(width, end + LINE * len(words) + EDGE)
        for number, clip in enumerate(made.clips):
            _row(sheet, EDGE + number * row, clip, frame, sound)
        for number, line in enumerate(words):
            sheet.text(EDGE, end + number * LINE, line)
        return png(sheet.figure)


def _row(sheet: Sheet, top: int, clip: ReconstructedClip, frame: Size, sound: Size) -> None:
    sheet.heads(EDGE, top, clip.shown)
    top, left = top + 2 * LINE, EDGE
    true, filled = clip.shown.image, clip.image
    for title, pixels in _panels(true, filled.predicted, filled.composite, filled):
        panels.draw_frame(sheet.axes(left, top, frame), pixels, title)
        left += frame.width + GAP
    left += AXIS
    scale = panels.scale_of(clip.shown.audio)
    filled, seen = clip.audio, (clip.shown.audio, clip.audio.predicted, clip.audio.composite)
    sight, predicted, composite = (panels.coloured(one, scale) for one in seen)
    shown = _panels(sight, predicted, composite, filled)
    for number, (title, pixels) in enumerate(shown):
        axes = sheet.axes(left, top, sound)
        panels.draw_sound(axes, pixels, title, clip.shown, first=number == 0)
        left += sound.width + GAP
    bar = sheet.axes(left, top, Size(BAR, sound.height))
    panels.draw_bar(bar, panels.COLOURS, scale, "log power")


def _panels(
    true: np.ndarray, predicted: np.ndarray, composite: np.ndarray, filled: FilledIn
) -> list[Panel]:
    hidden = f"masked, {100 * filled.hidden.mean():.0f} % hidden"
    digits = ".2f" if filled.error >= 0.1 else ".2g"
    return [
        ("input", true),
        (hidden, panels.veiled(true, filled.hidden)),
        (f"prediction, MSE {filled.error:{digits}}", predicted),
        ("composite", composite),
    ]


def _caption(made: Reconstructions) -> list[str]:
    source = made.source
    lines = [
        f"Run {source.run}, step {source.step}; clips of {source.dataset}, split "
        f"'{source.split}'. MSE: on hidden patches, in the units of the training loss.",
        "Composite: visible patches from the input, hidden ones as predicted. On visible patches "
        "the loss asks nothing of the prediction.",
    ]
    if made.pixel_norm:
        lines.append(
            "The run predicts normalised patches (reconstruction.pixel_norm): predictions are "
            "restored with the true mean and contrast of each patch."
        )
    return lines
