"""Hours that runs take on several GPUs, on paper: from measured steps and what ranks exchange.

Left out: what an exchange costs however small it is, evaluation, checkpoints, waiting for data.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from tgdp.config import Config
from tgdp.model.operations import operations
from tgdp.model.parameters import num_parameters
from tgdp.sweep.throughput import ORIGINS, Origin, Pace

GPUS = (1, 8, 32)
"""What is worked out: one, a node, four nodes."""

NODE = 8
"""GPUs that NVLink joins."""

NVLINKS: tuple[tuple[str, float], ...] = (
    (r"\bG?H[12]00\b(?! (NVL|PCIe))", 450e9),
    (r"\bA100-SXM", 300e9),
)
"""Bytes a second each way, by the name of a card. Source: NVIDIA's data sheets, which state the
sum of both ways (900 and 600 GB/s)."""

NETWORK = 50e9
"""Bytes a second of one GPU to other nodes, each way. Assumed: an adapter of 400 Gb/s a GPU, as in
NVIDIA's DGX H100 and H200; other clusters have less."""

AUDIOSET_2M = 1_390_395
"""Training pairs of the paper. Source: TG-DP, its pre-training on AudioSet-2M."""

FLOAT = 4
"""Bytes of a gradient, and of a global vector where pairs are compared."""

LOSS_TERMS = 6
"""Of `tgdp.losses.objective.Losses`: their mean over the ranks is what is recorded."""


class Exchange(NamedTuple):
    """Bytes that each rank sends in a step, and receives as well.

    Attributes:
        gradients: Their sum over all ranks.
        vectors: Global vectors to all ranks, and backwards the sum of all ranks' gradients of them.
        losses: Their sum over all ranks.
    """

    gradients: float
    vectors: float
    losses: float


class Bounds(NamedTuple):
    """The least and the most of something.

    Attributes:
        least: The gradients' exchange hides behind the backward side as far as it can.
        most: Nothing hides.
    """

    least: float
    most: float


class Scaled(NamedTuple):
    """Runs on a number of GPUs each.

    Attributes:
        gpus: Of one run.
        share: Pairs of a step on one GPU.
        origin: How the time of such a step is known; the least sure of all runs.
        hours: Of a run, the mean of all.
        total: GPU-hours of all runs.
        pairs_per_s: Of the fastest run, nothing in its way: what its loader must give.
    """

    gpus: int
    share: int
    origin: Origin
    hours: Bounds
    total: Bounds
    pairs_per_s: float


def exchange(config: Config, batch: int, world: int) -> Exchange:
    """Return what a rank sends in a step of some ranks.

    By a ring, the sum of V bytes costs each rank 2 V (n-1)/n, and bringing together V bytes of all
    ranks V (n-1)/n. Our gather (`tgdp/losses/gather.py`) sums backwards the gradients of all
    vectors, not only of those that a rank keeps.

    Args:
        config: The run.
        batch: Pairs of the step, of all ranks.
        world: Ranks.
    """
    ring = (world - 1) / world
    gathers = config.contrastive.weight > 0 and config.contrastive.negatives == "gathered"
    modalities = 0 if not gathers else 2 if config.contrastive.directions == "two_way" else 1
    vectors = modalities * batch * config.model.width * FLOAT
    return Exchange(
        gradients=2 * ring * num_parameters(config) * FLOAT,
        vectors=(1 + 2) * ring * vectors,
        losses=2 * ring * LOSS_TERMS * FLOAT,
    )


def nvlink(device: str) -> float | None:
    """Return the bytes a second that a card sends to others of its node; None if not known."""
    return next((rate for pattern, rate in NVLINKS if re.search(pattern, device)), None)


def bandwidth(device: str, world: int, network: float = NETWORK) -> float:
    """Return the bytes a second that a rank can send: those of the slowest link of one ring.

    Args:
        device: Name of the card. One that is not known counts as without NVLink.
        world: Ranks; more than a node has go over the network.
        network: Bytes a second of one GPU over the network.
    """
    own = nvlink(device)
    return network if own is None or world > NODE else own


def steps_of(config: Config, pairs: int) -> tuple[int, int]:
    """Return the steps of a run and the pairs of a step, as `tgdp.training.batches` has them.

    Args:
        config: The run.
        pairs: Clips of the split that it trains on.
    """
    batch, training = min(config.training.batch_size, pairs), config.training
    return training.steps or (training.epochs or 0) * steps_an_epoch(config, pairs), batch


def steps_an_epoch(config: Config, pairs: int) -> int:
    """Return the steps of one pass through so many clips; 0 where there are none."""
    return pairs // min(config.training.batch_size, pairs) if pairs else 0


def scale(
    runs: Sequence[tuple[Config, Pace | None]], pairs: int, gpus: int, network: float = NETWORK
) -> Scaled | None:
    """Return what some runs take on a number of GPUs each; None where it cannot be said of all.

    Args:
        runs: Configurations, and how long their steps take.
        pairs: Clips of the split that they train on.
        gpus: Of one run.
        network: Bytes a second of one GPU over the network.
    """
    taken = [_run(config, pace, pairs, gpus, network) for config, pace in runs]
    known = [run for run in taken if run is not None]
    if not known or len(known) < len(taken):
        return None
    least, most = (sum(run.hours[end] for run in known) for end in (0, 1))
    return Scaled(
        gpus,
        max(run.share for run in known),
        ORIGINS[max(ORIGINS.index(run.origin) for run in known)],
        Bounds(least / len(known), most / len(known)),
        Bounds(least * gpus, most * gpus),
        max(run.pairs_per_s for run in known),
    )


def _run(config: Config, pace: Pace | None, pairs: int, gpus: int, network: float) -> Scaled | None:
    steps, batch = steps_of(config, pairs)
    parts = config.training.accumulation
    if pace is None or batch // parts < gpus:
        return None
    share = math.ceil(math.ceil(batch / parts) / gpus)
    time = pace.time(share, operations(config).step)
    if time is None:
        return None
    # A part that is not the last takes less than a step, which also updates the weights.
    computed = parts * time.seconds
    sent = exchange(config, batch, gpus)
    rate = bandwidth(pace.rows[0].device, gpus, network)
    hidden, waited = sent.gradients / rate, (sent.vectors + sent.losses) / rate
    step = Bounds(max(computed, hidden) + waited, computed + hidden + waited)
    hours = Bounds(*(steps * seconds / 3600 for seconds in step))
    total = Bounds(*(gpus * one for one in hours))
    return Scaled(gpus, parts * share, time.origin, hours, total, batch / step.least)
