"""One run from its first step to its result: train, evaluate, write down."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tgdp.config import Config
from tgdp.data.files import write_whole
from tgdp.data.index import failed_clips
from tgdp.evaluation.embed import ClipFeatures, embed_clips
from tgdp.evaluation.feature_cache import cache_root
from tgdp.evaluation.feature_request import request_of
from tgdp.evaluation.features import ALONE, extract
from tgdp.evaluation.retrieval import PROTOCOL, measured, rank_clips, retrieve
from tgdp.evaluation.trained import check_data, load_trained
from tgdp.model.encoder import Encoder
from tgdp.training.loading import data_folder
from tgdp.training.ranks import Ranks, any_rank, current_ranks, rank_device
from tgdp.training.run_directory import RunDirectory
from tgdp.training.saving import Score
from tgdp.training.trainer import pick_device, train


def execute(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    """Train a run, resuming from its newest checkpoint, and evaluate it.

    On several ranks every one of them calls this, and each of the functions below.

    Args:
        run: Its folder, made already.
        config: The run.
        should_stop: Asked at every step boundary.

    Returns:
        True once the result is written; False if it stopped because it was asked to, after saving.

    Raises:
        UserError: The data or a checkpoint cannot be read, or the disk is full.
    """
    learner, finished = train(run, config, should_stop, partial(score, config=config))
    if finished:
        _conclude(run, config, learner.student.encoder, learner.step)
    return finished


def pretrain(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    """Do the first half of `execute`: train.

    Returns:
        True once the checkpoint of the last step is saved; False if it stopped before.

    Raises:
        UserError: As for `execute`.
    """
    return train(run, config, should_stop, partial(score, config=config))[1]


def measure(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    """Do the second half of `execute`: evaluate what was trained, from its checkpoint.

    Returns:
        True once the result is written; False if it was asked to stop before it began.

    Raises:
        UserError: The checkpoint is damaged or not of the last step, or the data is not the run's.
    """
    device = rank_device(current_ranks(), pick_device(config))
    if any_rank(should_stop(), device):
        return False
    check_data(config)
    student, step = load_trained(run, config)
    _conclude(run, config, student.to(device).encoder, step)
    return True


def _conclude(run: RunDirectory, config: Config, encoder: Encoder, step: int) -> None:
    """Write down what the encoder of the last step is worth."""
    ranks = current_ranks()
    # The ranks share the work by way of the cache; alone there is nothing to keep.
    cache = cache_root(run.path.parents[1]) if ranks.world > 1 else None
    features = _embed(encoder, config, cache, ranks)
    if not ranks.is_first:
        return
    result = _measured(features, config)
    result["seconds"] = run.status().seconds
    event = {"kind": "metric", "step": step, "values": result["metrics"]}
    if not _has(run, event):
        run.append(event)
    write_whole(run.result_file, json.dumps(result, indent=1))


def _has(run: RunDirectory, event: dict[str, Any]) -> bool:
    """Return whether a process that died before it could write the result wrote this event."""
    return any(event.items() <= former.items() for former in run.events())


def score(encoder: Encoder, config: Config) -> Score:
    """Return what retrieval measures in the middle of a run, for the choice of a checkpoint.

    Args:
        encoder: As it is now.
        config: Data, split, protocol.

    Raises:
        UserError: The data cannot be read.
    """
    found = _embed(encoder, config, None)
    metrics = retrieve(found.audio, found.image, found.ids)
    metrics["mean_r1"] = (metrics["a2v/r1"] + metrics["v2a/r1"]) / 2
    values = {_metric(config, name): value for name, value in metrics.items()}
    return Score(values, _metric(config, "mean_r1"))


def evaluate(encoder: Encoder, config: Config, cache: Path | None = None) -> dict[str, Any]:
    """Return what retrieval measures on the evaluation split, and over what it was counted.

    Args:
        encoder: Trained or not, on its device.
        config: Data, split, protocol.
        cache: Where features are kept; nowhere if None, as at the end of a run.

    Raises:
        UserError: The data cannot be read.
    """
    return _measured(_embed(encoder, config, cache), config)


def _measured(features: ClipFeatures, config: Config) -> dict[str, Any]:
    split = config.evaluation.split
    ranks = rank_clips(features.audio, features.image, features.ids)
    found = {_metric(config, name): interval for name, interval in measured(ranks).items()}
    return {
        "protocol": PROTOCOL,
        "dataset": config.data.name,
        "split": split,
        "n": len(features.ids),
        "missing": failed_clips(data_folder(config)),
        "metrics": {name: interval.value for name, interval in found.items()},
        "intervals": {name: [interval.low, interval.high] for name, interval in found.items()},
        "on_training_clips": split == config.data.train_split,
    }


def _embed(
    encoder: Encoder, config: Config, cache: Path | None, ranks: Ranks = ALONE
) -> ClipFeatures:
    workers = config.runtime.num_workers
    if cache is not None:
        return extract(encoder, request_of(config), cache, workers, ranks).as_float32()
    folder, split = data_folder(config), config.evaluation.split
    return embed_clips(encoder, folder, split, config.data, workers)


def _metric(config: Config, name: str) -> str:
    return f"retrieval/{config.data.name}/{name}"
