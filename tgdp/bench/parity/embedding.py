"""Patch embedding by hand: the tokens that the file's own inputs, weights and positions give."""

import numpy as np

from tgdp.bench.parity.figures import Array, Figures
from tgdp.model.encoder import Modality


def embedded_by_hand(figures: Figures, modality: Modality) -> Array:
    """Return patch embedding + position + modality embedding in float64, (B, N, D).

    The file holds no output of this module, so it is computed here a second way: patches cut out
    by index and multiplied, no convolution and none of our own code, in the order that the
    released positions are in. Audio is frequency-major: patch f x (time patches) + t covers
    frequency bins p f to p f + p - 1 and steps p t to p t + p - 1.

    Args:
        figures: Inputs and weights.
        modality: Which of the two.
    """
    suffix = "a" if modality == "audio" else "v"
    weight = _double(figures, f"weights/patch_embed_{suffix}.proj.weight")  # (D, C, p, p)
    picture = _double(figures, f"input/{modality}")
    if modality == "audio":
        # (B, T, F) -> (B, 1, F, T): frequency is a spectrogram's first axis.
        picture = np.swapaxes(picture, 1, 2)[:, None]
    batch, colours, height, width = picture.shape
    side = weight.shape[-1]
    tokens = [
        picture[:, :, top : top + side, left : left + side].reshape(batch, -1)
        @ weight.reshape(len(weight), colours * side * side).T
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    return (
        np.stack(tokens, axis=1)
        + _double(figures, f"weights/patch_embed_{suffix}.proj.bias")
        + _double(figures, f"weights/pos_embed_{suffix}")
        + _double(figures, f"weights/modality_{suffix}")
    )


def _double(figures: Figures, key: str) -> Array:
    return np.asarray(figures[key], dtype=np.float64)
