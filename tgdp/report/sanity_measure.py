"""Measures what `tgdp.report.sanity_kept` keeps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tgdp.data.card import read_card
from tgdp.data.shards import PreparedClips
from tgdp.errors import UserError
from tgdp.evaluation import sanity
from tgdp.evaluation.embed import ClipFeatures
from tgdp.evaluation.feature_reader import FeatureReader, Report
from tgdp.evaluation.probe.data import ProbeData
from tgdp.evaluation.probe.run import run_probe
from tgdp.evaluation.probing import probe_data
from tgdp.evaluation.retrieval import PROTOCOL, retrieve
from tgdp.evaluation.subject import LAST, Subject
from tgdp.report.sanity_request import MEAN, ORACLE, UNTRAINED, Probe, Request
from tgdp.training.loading import data_folder
from tgdp.training.trainer import pick_device

Say = Callable[[str], None]

SLOW = "attention"
"""The kind of probe that takes long: 57.5 million parameters at full size."""


def measure(request: Request, cache: Path, say: Say = lambda text: None) -> dict[str, Any]:
    """Return the number of clips, and the metrics by their names without protocol and data.

    Args:
        request: Which row.
        cache: Where features are kept.
        say: Called with words for how far it is.

    Raises:
        UserError: The data is not here or is other data, this version measures otherwise, or the
            probe cannot be trained.
    """
    folder = data_folder(request.config)
    found, asked = read_card(folder).fingerprint, "column" if request.probe else "table"
    if found != request.fingerprint:
        raise UserError(
            f"{folder}: field 'fingerprint' is {found}, but the {asked} is of {request.fingerprint}"
        )
    protocol = request.probe.settings.protocol if request.probe else PROTOCOL
    if request.protocol != protocol:
        raise UserError(f"--sanity: the {asked} is of {request.protocol}; this version: {protocol}")
    if request.probe:
        return _probed(request, request.probe, cache, say)
    features = _features(request, cache, say)
    metrics = retrieve(features.audio, features.image, features.ids)
    return {"n": len(features.ids), "metrics": metrics}


def _features(request: Request, cache: Path, say: Say) -> ClipFeatures:
    if request.row == ORACLE:
        return sanity.oracle(data_folder(request.config), request.split)
    features = _reader(request, cache, say).read(request.split).as_float32()
    return sanity.mean_embedding(features) if request.row == MEAN else features


def _probed(request: Request, probe: Probe, cache: Path, say: Say) -> dict[str, Any]:
    train, test = _clips(request, (probe.train_split, request.split), cache, say)
    slow = ", which takes long" if probe.settings.kind == SLOW else ""
    report = _report(say, f"Measuring {request}{slow}: {{}} of {{}} probes are trained")
    report(0, len(probe.settings.grid) + len(probe.settings.seeds))
    result = run_probe(train, test, probe.settings, pick_device(request.config), report)
    return {"n": result.n, "metrics": result.metrics}


def _clips(
    request: Request, splits: tuple[str, str], cache: Path, say: Say
) -> tuple[ProbeData, ProbeData]:
    """Return what the probe of a row is trained and tested on."""
    if request.row == ORACLE:
        train, test = (_causes(data_folder(request.config), split) for split in splits)
        return train, test
    reader = _reader(request, cache, say)
    train, test = (probe_data(reader, split) for split in splits)
    return _made_equal(train, test) if request.row == MEAN else (train, test)


def _causes(folder: Path, split: str) -> ProbeData:
    """Return the clips of a split with their causes in place of features."""
    found, clips = sanity.oracle(folder, split), PreparedClips(folder)
    labels = [clips.labels[int(i)] for i in clips.indices(split)]
    return ProbeData(found.ids, found.audio, found.image, labels, clips.vocabulary)


def _made_equal(train: ProbeData, test: ProbeData) -> tuple[ProbeData, ProbeData]:
    """Return the clips with the mean of those to train on in place of all features."""
    audio, image = (
        None if part is None else part.mean(axis=0, dtype=np.float64).astype(np.float32)
        for part in (train.audio, train.image)
    )

    def equal(data: ProbeData) -> ProbeData:
        clips = len(data.ids)
        return replace(data, audio=_repeated(audio, clips), image=_repeated(image, clips))

    return equal(train), equal(test)


def _repeated(one: NDArray[Any] | None, clips: int) -> NDArray[Any] | None:
    """Return features, (S, D), as those of every clip, (N, S, D); they are held once."""
    return None if one is None else np.broadcast_to(one, (clips, *one.shape))


def _reader(request: Request, cache: Path, say: Say) -> FeatureReader:
    """Return what reads the features of the encoder as its seed makes it."""
    config = request.config
    encoder = sanity.untrained(config).to(pick_device(config))
    subject = Subject(encoder, config, UNTRAINED, LAST, None, data_folder(config))
    report = _report(say, f"Measuring {request}: {{}} of {{}} clips are read")
    return FeatureReader(subject, cache, report=report)


def _report(say: Say, words: str) -> Report:
    return lambda done, total: say(f"{words.format(done, total)} ...")
