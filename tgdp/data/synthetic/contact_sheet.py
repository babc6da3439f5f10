"""A picture of what the benchmark is: frames, spectrograms and labels of a dozen clips."""

import textwrap
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tgdp.data.log_mel import log_mel
from tgdp.data.synthetic.factors import draw_clip
from tgdp.data.synthetic.pictures import render
from tgdp.data.synthetic.sounds import synthesise
from tgdp.data.synthetic.spec import CLASSES, SynthSpec

SIDE = 168
"""Pixels of a cell."""
CAPTION = 44
CAPTION_WIDTH = 26
"""Characters a line."""
GAP = 8
COLUMNS = 6
SHOWN = (("train", 6), ("multi_train", 6))
"""Half of the dozen from each label set."""


def write_contact_sheet(path: Path, spec: SynthSpec) -> Path:
    """Write the sheet as PNG and return its path.

    Args:
        path: File to write.
        spec: The benchmark; only the shown clips are made.
    """
    cells = [
        _cell(spec, split, index)
        for split, count in SHOWN
        for index in range(min(count, spec.splits[split]))
    ]
    width, height = cells[0].size
    rows = -(-len(cells) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")
    for number, cell in enumerate(cells):
        row, column = divmod(number, COLUMNS)
        sheet.paste(cell, (GAP + column * (width + GAP), GAP + row * (height + GAP)))
    sheet.save(path)
    return path


def _cell(spec: SynthSpec, split: str, index: int) -> Image.Image:
    clip = draw_clip(spec, split, index)
    frame = next(iter(render(clip, spec)))
    cell = Image.new("RGB", (SIDE, CAPTION + 2 * SIDE + 2), "white")
    words = [CLASSES[label] for label in clip.labels]
    text = ImageDraw.Draw(cell)
    text.text((0, 0), f"{split} {index}", fill="#777777", font_size=11)
    caption = textwrap.fill(", ".join(words), CAPTION_WIDTH)
    text.multiline_text((0, 14), caption, fill="black", font_size=11, spacing=2)
    cell.paste(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.NEAREST), (0, CAPTION))
    cell.paste(_spectrogram(synthesise(clip, spec)), (0, CAPTION + SIDE + 2))
    return cell


def _spectrogram(sound: NDArray[np.int16]) -> Image.Image:
    spectrum = log_mel(torch.from_numpy(sound / 32_768).float()[None])[0].T.flip(0)
    low, high = spectrum.quantile(0.05), spectrum.max()
    grey = ((spectrum - low) / (high - low)).clamp(0, 1) * 255
    return Image.fromarray(grey.byte().numpy()).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
