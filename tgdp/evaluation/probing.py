"""What a probe of a checkpoint is trained and tested on: frozen features of two splits, labels."""

from pathlib import Path

from tgdp.data.shards import PreparedClips
from tgdp.errors import UserError
from tgdp.evaluation.embed import BRANCH
from tgdp.evaluation.feature_reader import FeatureReader
from tgdp.evaluation.probe.data import ProbeData
from tgdp.evaluation.probe.settings import SPLITS, Task
from tgdp.training.loading import data_folder


def probe_splits(folder: Path, train: str | None, test: str | None) -> tuple[str, str]:
    """Return the splits of a probe: those that are named, else the usual ones.

    Args:
        folder: Prepared data.
        train: Split to train on.
        test: Split to test on.

    Raises:
        UserError: There is no such split; or none is named and the usual ones are not there.
    """
    splits = PreparedClips(folder).card.splits
    chosen: list[str] = []
    for option, name, usual in (
        ("--train-split", train, SPLITS["train"]),
        ("--test-split", test, SPLITS["test"]),
    ):
        found = name or next((one for one in usual if one in splits), "")
        if found not in splits:
            listed = ", ".join(f"{split} ({number} clips)" for split, number in splits.items())
            what = f"no split '{name}'" if name else f"no split {' or '.join(usual)}"
            raise UserError(f"{folder}: {what}; choose one with {option}. Valid: {listed}")
        chosen.append(found)
    return chosen[0], chosen[1]


def task_of(folder: Path, splits: tuple[str, str]) -> Task:
    """Return the task that the labels ask for: one label a clip in both splits, or several."""
    clips = PreparedClips(folder)
    numbers = [int(i) for split in splits for i in clips.indices(split)]
    return "singlelabel" if all(len(clips.labels[i]) == 1 for i in numbers) else "multilabel"


def probe_data(reader: FeatureReader, split: str) -> ProbeData:
    """Return the frozen features of a split, those of the branches, and the labels of its clips.

    Args:
        reader: Features of the encoder.
        split: Which clips.

    Raises:
        UserError: The data cannot be read, or no clip of the split has a label.
    """
    folder = data_folder(reader.subject.config)
    clips = PreparedClips(folder)
    labels = [clips.labels[int(i)] for i in clips.indices(split)]
    # Asked before the clips are embedded, which takes long.
    if not any(labels):
        raise UserError(
            f"{folder}: none of the {len(labels)} clips of split '{split}' has a label, so that "
            "nothing can be learned from them or tested; prepare them from a list with labels"
        )
    found = reader.read(split, BRANCH)
    return ProbeData(found.ids, found.audio, found.image, labels, clips.vocabulary)
