"""Measures what `tgdp.report.sanity` keeps."""

from pathlib import Path
from typing import Any

from tgdp.data.card import read_card
from tgdp.errors import UserError
from tgdp.evaluation import sanity
from tgdp.evaluation.embed import ClipFeatures
from tgdp.evaluation.feature_request import request_of
from tgdp.evaluation.features import extract
from tgdp.evaluation.retrieval import PROTOCOL, retrieve
from tgdp.report.sanity import MEAN, ORACLE, Request
from tgdp.training.loading import data_folder
from tgdp.training.trainer import pick_device


def measure(request: Request, cache: Path) -> dict[str, Any]:
    """Return the number of clips, and the metrics by their names without protocol and data.

    Args:
        request: Which row.
        cache: Where features are kept.

    Raises:
        UserError: The data is not here or is other data, or this version measures otherwise.
    """
    folder = data_folder(request.config)
    found = read_card(folder).fingerprint
    if found != request.fingerprint:
        raise UserError(
            f"{folder}: field 'fingerprint' is {found}, but the table is of {request.fingerprint}"
        )
    if request.protocol != PROTOCOL:
        raise UserError(f"--sanity: the table is of {request.protocol}; this version: {PROTOCOL}")
    features = _features(request, folder, cache)
    metrics = retrieve(features.audio, features.image, features.ids)
    return {"n": len(features.ids), "metrics": metrics}


def _features(request: Request, folder: Path, cache: Path) -> ClipFeatures:
    if request.row == ORACLE:
        return sanity.oracle(folder, request.split)
    config = request.config
    encoder = sanity.untrained(config).to(pick_device(config))
    wanted = request_of(config, split=request.split)
    features = extract(encoder, wanted, cache, config.runtime.num_workers).as_float32()
    return sanity.mean_embedding(features) if request.row == MEAN else features
