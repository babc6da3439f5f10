"""What a picture of a run is drawn from: plain arrays and facts, so that drawing needs no torch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""RGB, (H, W, 3)."""
Spectrogram = NDArray[np.float32]
"""Log-mel, not normalised, (F, T); row 0 is the lowest bin."""
Cells = NDArray[np.bool_]
"""One value a patch, (rows, columns); of a spectrogram, row 0 is the lowest."""


@dataclass(frozen=True)
class Source:
    """Where the pictures come from.

    Attributes:
        run: Signature of the run.
        step: Steps its checkpoint has taken.
        dataset: Name of the data.
        split: Split that the clips are of.
    """

    run: str
    step: int
    dataset: str
    split: str


@dataclass(frozen=True)
class Shown:
    """One frame of a clip and the stretch of sound beside it, as the model gets them.

    Attributes:
        id: The clip.
        frame: Number of the frame, from 0.
        seconds: When the frame was shown, from the start of the clip.
        start: Where the stretch of sound begins, seconds.
        image: The frame.
        audio: The sound.
    """

    id: str
    frame: int
    seconds: float
    start: float
    image: Pixels
    audio: Spectrogram


@dataclass(frozen=True)
class FilledIn:
    """What became of one modality.

    Attributes:
        predicted: Every patch as predicted, in the units of the input.
        composite: Visible patches from the input, hidden ones as predicted.
        hidden: Which patches were hidden.
        error: Mean squared error on hidden patches, as in the training loss.
    """

    predicted: Pixels | Spectrogram
    composite: Pixels | Spectrogram
    hidden: Cells
    error: float


@dataclass(frozen=True)
class ReconstructedClip:
    """A clip and what the model made of its visible patches."""

    shown: Shown
    image: FilledIn
    audio: FilledIn


@dataclass(frozen=True)
class Reconstructions:
    """Some clips, reconstructed.

    Attributes:
        source: Run and data.
        clips: A row each.
        pixel_norm: Whether predictions are of normalised patches, shown with the true mean and
            contrast of each.
    """

    source: Source
    clips: tuple[ReconstructedClip, ...]
    pixel_norm: bool


@dataclass(frozen=True)
class Ranking:
    """How much attention each patch of one modality gets, and what would stay visible by it.

    Attributes:
        priority: Over its mean: 1 is as much as the average patch, (rows, columns).
        kept: What stays visible at each ratio, (R, rows, columns).
    """

    priority: NDArray[np.float32]
    kept: NDArray[np.bool_]


@dataclass(frozen=True)
class RankedClip:
    """A clip and the priority of its patches by one direction of attention."""

    shown: Shown
    direction: Literal["patch_to_cls", "cls_to_patch"]
    image: Ranking
    audio: Ranking


@dataclass(frozen=True)
class Priorities:
    """Some clips, ranked.

    Attributes:
        source: Run and data.
        clips: A pair of rows each.
        ratios: Share of the patches hidden, one a column.
        ranked_by: Whose attention it is.
        own_rule: How the run itself chooses what its contrastive path sees.
        overlap: Share of the half with the highest priority that the released code's shuffled
            ranks keep, over all clips and both modalities; chance is 0.5.
    """

    source: Source
    clips: tuple[RankedClip, ...]
    ratios: tuple[float, ...]
    ranked_by: Literal["teacher", "student"]
    own_rule: str
    overlap: float
