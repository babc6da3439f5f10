"""Probes of a checkpoint: its frozen features of two splits, from the cache, and their labels."""

from collections.abc import Callable
from pathlib import Path

from tgdp.data.shards import PreparedClips
from tgdp.errors import UserError
from tgdp.evaluation.embed import BRANCH
from tgdp.evaluation.feature_request import request_of
from tgdp.evaluation.features import extract
from tgdp.evaluation.probe.data import ProbeData
from tgdp.evaluation.probe.result import ProbeResult
from tgdp.evaluation.probe.run import run_probe
from tgdp.evaluation.probe.settings import ProbeSettings, Task
from tgdp.evaluation.subject import Subject
from tgdp.training.loading import data_folder

TRAIN, TEST = "probe_train", "probe_test"
"""Splits that a probe is trained and tested on, where the data has them and none are named."""

Report = Callable[[int, int], None]


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
        ("--train-split", train, (TRAIN, "train")),
        ("--test-split", test, (TEST, "test")),
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


def probe_subject(
    subject: Subject,
    splits: tuple[str, str],
    settings: ProbeSettings,
    cache: Path,
    report: Report = lambda done, total: None,
) -> ProbeResult:
    """Return what the frozen features of a checkpoint are worth to a probe.

    The features are those of the branches, before the joint layer (method section 4).

    Args:
        subject: Encoder and data.
        splits: To train on, to test on.
        settings: Which probe, on what.
        cache: Where features are kept.
        report: Called with probes trained and probes in all.

    Raises:
        UserError: The data cannot be read, or it does not fit the task.
    """
    train, test = (_data(subject, split, cache) for split in splits)
    device = next(subject.encoder.parameters()).device
    return run_probe(train, test, settings, device, report)


def _data(subject: Subject, split: str, cache: Path) -> ProbeData:
    config = subject.config
    request = request_of(config, BRANCH, split=split)
    found = extract(subject.encoder, request, cache, config.runtime.num_workers)
    clips = PreparedClips(data_folder(config))
    labels = [clips.labels[int(i)] for i in clips.indices(split)]
    return ProbeData(found.ids, found.audio, found.image, labels, clips.vocabulary)
