"""Clips as a probe is given them: frozen features and labels, checked before training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tgdp.data.labels import LabelVocabulary
from tgdp.errors import UserError
from tgdp.evaluation.per_class import label_matrix
from tgdp.evaluation.probe.settings import Modality, Task

SHOWN = 3
"""Clips named in an error."""


@dataclass(frozen=True)
class ProbeData:
    """Frozen features of the clips of one split, and what the clips are.

    Attributes:
        ids: Clip ids, in the order of the rows.
        audio: (N, S, D), the CLS after the last layer of the branch; None if sound is not probed.
            float16 or float32, in memory or mapped; it is only read.
        image: The same of the pictures.
        labels: Label mids of each clip.
        vocabulary: Every label, in the order of the classes.
        missing: Ids of clips of the split that have no features; printed with every number.

    Raises:
        UserError: The parts do not fit each other, or a label is not in the vocabulary.
    """

    ids: Sequence[str]
    audio: NDArray[Any] | None
    image: NDArray[Any] | None
    labels: Sequence[Sequence[str]]
    vocabulary: LabelVocabulary
    missing: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, features in (("audio", self.audio), ("image", self.image)):
            if features is not None and (features.ndim != 3 or len(features) != len(self.ids)):
                raise UserError(
                    f"probe {name}: features of shape {features.shape} for {len(self.ids)} clips; "
                    f"expected (clips, time steps, width)"
                )
        if len(self.labels) != len(self.ids):
            raise UserError(f"probe labels: {len(self.labels)} lists for {len(self.ids)} clips")
        if len(set(self.ids)) < len(self.ids):
            raise UserError("probe ids: a clip is there twice")

    def arrays(self, modality: Modality) -> list[NDArray[Any]]:
        """Return the features that a modality reads: sound first, then pictures.

        Raises:
            UserError: They are not there, or have different numbers of time steps.
        """
        wanted = {"av": ("audio", "image"), "a": ("audio",), "v": ("image",)}[modality]
        found: list[NDArray[Any]] = []
        for name in wanted:
            features = self.audio if name == "audio" else self.image
            if features is None:
                raise UserError(f"probe modality {modality}: there are no {name} features")
            found.append(features)
        if len({features.shape[1] for features in found}) > 1:
            raise UserError(
                f"probe modality av: {found[0].shape[1]} time steps of audio, "
                f"{found[1].shape[1]} of image"
            )
        return found

    def hot(self) -> NDArray[np.bool_]:
        """Return which clip has which label, (N, C).

        Raises:
            UserError: A label is not in the vocabulary.
        """
        return label_matrix(self.ids, self.labels, self.vocabulary)

    def targets(self, task: Task) -> NDArray[Any]:
        """Return what the loss compares with: (N, C) of 0 and 1, or the class of each clip, (N,).

        Raises:
            UserError: A label is unknown, or the task has one label a clip and a clip has not.
        """
        hot = self.hot()
        if task == "multilabel":
            return hot
        bad = [self.ids[i] for i in np.flatnonzero(hot.sum(axis=1) != 1).tolist()]
        if bad:
            raise UserError(
                f"probe task singlelabel: {len(bad)} clips have not exactly one label "
                f"({', '.join(bad[:SHOWN])}); choose multilabel"
            )
        return hot.argmax(axis=1)


def check_pair(train: ProbeData, test: ProbeData, modality: Modality) -> None:
    """Refuse splits that cannot be compared, or that share clips.

    Raises:
        UserError: Labels, time steps or widths differ, a clip is in both, or no clip is tested.
    """
    if train.vocabulary.mids != test.vocabulary.mids:
        raise UserError("probe: training and test clips have different label lists")
    if not test.ids or not len(test.vocabulary):
        raise UserError("probe: there are no test clips, or no labels")
    if shared := sorted(set(train.ids) & set(test.ids)):
        raise UserError(
            f"probe: {len(shared)} clips are both for training and for testing "
            f"({', '.join(shared[:SHOWN])})"
        )
    pairs = zip(train.arrays(modality), test.arrays(modality), strict=True)
    for first, second in pairs:
        if first.shape[1:] != second.shape[1:]:
            raise UserError(
                f"probe: a training clip has features of shape {first.shape[1:]}, "
                f"a test clip {second.shape[1:]}"
            )
