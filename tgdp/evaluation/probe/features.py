"""Frozen features, read a batch at a time; a file of them that is mapped is never read whole."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from tgdp.errors import UserError
from tgdp.evaluation.probe.data import ProbeData
from tgdp.evaluation.probe.settings import Kind, Modality

ROWS_AT_ONCE = 512
"""Clips a read where all are read in order: 50 MB at full size."""


@runtime_checkable
class Inputs(Protocol):
    """What a probe is shown, clip by clip."""

    width: int

    def __len__(self) -> int: ...

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the inputs of some clips, in the order asked for."""
        ...


class Tokens:
    """Time steps of clips, modalities side by side: (B, S, W) with W = 2D or D.

    Args:
        data: Clips.
        modality: Which features; sound comes before pictures, as in the released probe.

    Raises:
        UserError: The features are not there.
    """

    def __init__(self, data: ProbeData, modality: Modality) -> None:
        self._ids = data.ids
        self._arrays = data.arrays(modality)
        self.width = sum(features.shape[2] for features in self._arrays)

    def __len__(self) -> int:
        return len(self._ids)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the tokens of some clips, in the order asked for.

        Raises:
            UserError: A feature is not finite; the clip is named.
        """
        # A mapped file is read forwards; the order asked for is restored in memory.
        order = np.argsort(rows, kind="stable")
        parts = [features[rows[order]].astype(np.float32) for features in self._arrays]
        tokens = np.empty((len(rows), parts[0].shape[1], self.width), np.float32)
        tokens[order] = np.concatenate(parts, axis=2)
        bad = np.flatnonzero(~np.isfinite(tokens).all(axis=(1, 2)))
        if bad.size:
            raise UserError(f"features of clip {self._ids[int(rows[bad[0]])]} are not finite")
        return tokens


class Pooled:
    """Mean over time of the tokens of each clip, (B, W).

    Held in memory: a time step's share of the features, 6 kB a clip at full size.
    """

    def __init__(self, tokens: Tokens) -> None:
        self.width = tokens.width
        parts = [
            tokens.read(np.arange(start, min(start + ROWS_AT_ONCE, len(tokens)))).mean(axis=1)
            for start in range(0, len(tokens), ROWS_AT_ONCE)
        ]
        self._values = np.concatenate(parts)

    def __len__(self) -> int:
        return len(self._values)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the means of some clips, in the order asked for."""
        return self._values[rows]


def open_inputs(data: ProbeData, kind: Kind, modality: Modality) -> Tokens | Pooled:
    """Return what a probe of a kind reads of the clips.

    Raises:
        UserError: The features are not there or, where they are read at once, not finite.
    """
    tokens = Tokens(data, modality)
    return tokens if kind == "attention" else Pooled(tokens)
