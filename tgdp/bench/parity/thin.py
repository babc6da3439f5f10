"""A smaller copy of a file of figures: outputs lose most of their rows, inputs nothing."""

from pathlib import Path

import numpy as np

from tgdp.bench.parity.figures import Array, read_figures

BULKY = (
    "embed/audio_tokens",
    "embed/image_tokens",
    "recon/audio_pred",
    "recon/image_pred",
    "fbank/log_mel",
)
"""Outputs of thousands of rows. Inputs, weights and noise are kept to the last bit."""

EVERY = 29
"""One row in so many stays: a prime, so that the places differ from sample to sample."""


def thin(source: Path, copy: Path) -> None:
    """Write a copy in which most rows of the bulky outputs are NaN, which compresses to nothing.

    A row is a token, a patch's pixels or a step of the spectrogram.

    Args:
        source: A file of figures.
        copy: Where to; replaced.

    Raises:
        UserError: The source cannot be read.
    """
    arrays = read_figures(source).arrays
    thinned = {name: _thinned(value) for name, value in arrays.items() if name in BULKY}
    np.savez_compressed(copy, allow_pickle=False, **{**arrays, **thinned})


def _thinned(values: Array) -> Array:
    rows = values.reshape(-1, values.shape[-1])
    kept = np.full_like(rows, np.nan)
    kept[::EVERY] = rows[::EVERY]
    return kept.reshape(values.shape)
