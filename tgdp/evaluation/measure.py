"""What an evaluation gives: figures, what they were counted over, figures by class, as plain JSON.

The same form is printed, written to a file, kept with a run and brought into the tracking store.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, TypeVar

from tgdp.data.card import read_card
from tgdp.data.index import failed_clips
from tgdp.data.shards import PreparedClips
from tgdp.evaluation import sanity
from tgdp.evaluation.feature_reader import FeatureReader
from tgdp.evaluation.per_class import label_matrix, retrieval_by_class
from tgdp.evaluation.probe.run import run_probe
from tgdp.evaluation.probe.settings import ProbeSettings
from tgdp.evaluation.probing import probe_data
from tgdp.evaluation.record import metric_prefix
from tgdp.evaluation.retrieval import PROTOCOL, measured, rank_clips, retrieve
from tgdp.evaluation.subject import Subject
from tgdp.training.loading import data_folder

Value = TypeVar("Value")

Report = Callable[[int, int], None]


def measure_retrieval(reader: FeatureReader) -> dict[str, Any]:
    """Return what retrieval among the evaluation split measures, both directions.

    Args:
        reader: Features of the encoder.

    Raises:
        UserError: The data cannot be read, or a score is not finite.
    """
    subject = reader.subject
    config = subject.config
    folder, split = data_folder(config), config.evaluation.split
    found = reader.read(split).as_float32()
    ranks = rank_clips(found.audio, found.image, found.ids)
    figures = measured(ranks)
    clips = PreparedClips(folder)
    labels = [clips.labels[int(i)] for i in clips.indices(split)]
    hot = label_matrix(found.ids, labels, clips.vocabulary)
    name = _namer(subject, PROTOCOL)
    return {
        **_facts(subject, PROTOCOL, split),
        "n": len(found.ids),
        "metrics": name((key, figure.value) for key, figure in figures.items()),
        "intervals": name((key, [figure.low, figure.high]) for key, figure in figures.items()),
        "per_class": retrieval_by_class(ranks, hot, clips.vocabulary),
        "unlabelled": sum(not mids for mids in labels),
        "on_training_clips": _is_trained_on(subject, split),
    }


def measure_sanity(reader: FeatureReader) -> dict[str, dict[str, float]]:
    """Return the rows beside a retrieval: an untrained encoder, one vector for all, true causes.

    The last one only on the embedded benchmark, whose causes are known.

    Args:
        reader: Features of the encoder.

    Raises:
        UserError: The data cannot be read, or calls itself the embedded benchmark and is not.
    """
    config = reader.subject.config
    split = config.evaluation.split
    rows = {
        "untrained": reader.untrained.read(split).as_float32(),
        "mean embedding": sanity.mean_embedding(reader.read(split).as_float32()),
    }
    if config.data.name == "embedded":
        rows["oracle"] = sanity.oracle(data_folder(config), split)
    return {name: retrieve(row.audio, row.image, row.ids) for name, row in rows.items()}


def measure_probe(
    reader: FeatureReader,
    splits: tuple[str, str],
    settings: ProbeSettings,
    report: Report = lambda done, total: None,
) -> dict[str, Any]:
    """Return what the frozen features are worth to a probe.

    The features are those of the branches, before the joint layer (method section 4).

    Args:
        reader: Features of the encoder.
        splits: To train on, to test on.
        settings: Which probe, on what.
        report: Called with probes trained and probes in all.

    Raises:
        UserError: The data cannot be read, or it does not fit the task.
    """
    subject = reader.subject
    train, test = (probe_data(reader, split) for split in splits)
    device = next(subject.encoder.parameters()).device
    result = run_probe(train, test, settings, device, report)
    name = _namer(subject, result.protocol, settings.modality)
    return {
        **asdict(result),
        **_facts(subject, result.protocol, splits[1]),
        "train_split": splits[0],
        "modality": settings.modality,
        "values": name(result.values.items()),
        "metrics": name(result.metrics.items()),
        "sd": name(result.sd.items()),
        "intervals": name((key, list(ends)) for key, ends in result.intervals.items()),
        "rate_scores": {f"{rate:g}": score for rate, score in result.rate_scores.items()},
        "unlabelled": sum(not mids for mids in test.labels),
    }


def _facts(subject: Subject, protocol: str, split: str) -> dict[str, Any]:
    folder = data_folder(subject.config)
    return {
        "protocol": protocol,
        "dataset": subject.config.data.name,
        "split": split,
        "fingerprint": read_card(folder).fingerprint,
        "missing": failed_clips(folder),
        "checkpoint": str(subject.file),
        "weights": subject.weights,
        "which": subject.which,
    }


def _is_trained_on(subject: Subject, split: str) -> bool:
    """Say whether the split is the one that the run was trained on."""
    data = subject.config.data
    here = read_card(data_folder(subject.config)).fingerprint
    # A configuration made by hand does not say what it was trained on.
    return split == data.train_split and data.fingerprint in ("", here)


def _namer(
    subject: Subject, protocol: str, modality: str = ""
) -> Callable[[Iterable[tuple[str, Value]]], dict[str, Value]]:
    """Return what puts protocol, data, weights and modality before the names of figures."""
    prefix = metric_prefix(protocol, subject.config.data.name, subject.which, modality)

    def named(figures: Iterable[tuple[str, Value]]) -> dict[str, Value]:
        return {f"{prefix}{key}": value for key, value in figures}

    return named
