"""Clips -> one audio and one visual vector a frame, full view, chunk by chunk."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from tgdp.config import DataConfig
from tgdp.data.clips import ClipDataset, collate_clips
from tgdp.data.front_end import FrontEnd
from tgdp.data.workers import deaf_to_requests
from tgdp.model.encoder import Encoder, Modality

Features = NDArray[np.float32]

View = Literal["global", "branch"]
"""`global`: what retrieval compares, L2-normalised. `branch`: what probes read, as it comes out of
the last layer of a modality's own branch (method section 4)."""

Precision = Literal["float32", "bfloat16"]

CLIPS_AT_ONCE = 8
"""Clips a chunk: 16 frames each make 128 pictures. A clip always shares its batch with the same
others, because what a matrix product rounds to depends on how many rows it has."""


class Way(NamedTuple):
    """How an input becomes a vector.

    Attributes:
        view: Where the vector is taken from.
        precision: What the encoder computes in; the vectors are float32 in any case.
    """

    view: View = "global"
    precision: Precision = "float32"


GLOBAL = Way()
"""What retrieval compares, in float32."""

BRANCH = Way("branch")
"""What a probe is trained on."""


class ClipFeatures(NamedTuple):
    """Vectors of every frame and its segment.

    Attributes:
        ids: Clip ids, in the order of the rows.
        audio: (N, S, D) float32.
        image: (N, S, D) float32.
    """

    ids: list[str]
    audio: Features
    image: Features


class Chunk(NamedTuple):
    """Vectors of the clips of one chunk.

    Attributes:
        number: From 0.
        audio: (B, S, D) float32.
        image: (B, S, D) float32.
    """

    number: int
    audio: Features
    image: Features


def num_chunks(num_clips: int) -> int:
    """Return how many chunks so many clips make."""
    return -(-num_clips // CLIPS_AT_ONCE)


def rows_of(number: int, num_clips: int) -> range:
    """Return the rows of a chunk; the last one may hold fewer."""
    first = number * CLIPS_AT_ONCE
    return range(first, min(first + CLIPS_AT_ONCE, num_clips))


def ids_of(dataset: ClipDataset) -> list[str]:
    """Return the ids of the clips of a split, in order."""
    return [dataset.clips.ids[i] for i in dataset.indices]


def embed_clips(
    encoder: Encoder,
    folder: Path,
    split: str,
    data: DataConfig,
    num_workers: int = 0,
    way: Way = GLOBAL,
) -> ClipFeatures:
    """Return the features of every clip of a split, computed anew and kept in memory alone.

    Args:
        encoder: Evaluated as it is, on its own device.
        folder: Prepared data.
        split: Which clips.
        data: How a clip becomes pictures and segments.
        num_workers: Loader processes.
        way: How an input becomes a vector.

    Raises:
        UserError: The data cannot be read.
    """
    dataset = ClipDataset(folder, split, data)
    numbers = range(num_chunks(len(dataset)))
    found = list(embed_chunks(encoder, dataset, numbers, way, num_workers))
    audio = np.concatenate([chunk.audio for chunk in found])
    return ClipFeatures(ids_of(dataset), audio, np.concatenate([chunk.image for chunk in found]))


def embed_chunks(
    encoder: Encoder, dataset: ClipDataset, numbers: Sequence[int], way: Way, num_workers: int
) -> Iterator[Chunk]:
    """Yield the features of some chunks, in the order asked for.

    Args:
        encoder: Evaluated as it is, on its own device.
        dataset: The clips of a split.
        numbers: Which chunks.
        way: How an input becomes a vector.
        num_workers: Loader processes.

    Raises:
        UserError: The data cannot be read.
    """
    encoder.eval()
    device = next(encoder.parameters()).device
    front_end = FrontEnd(dataset.data).to(device)
    loader = DataLoader(
        dataset,
        batch_sampler=[list(rows_of(number, len(dataset))) for number in numbers],
        collate_fn=collate_clips,
        num_workers=num_workers,
    )
    with deaf_to_requests():
        raws = iter(loader)
    for number, raw in zip(numbers, raws, strict=True):
        batch = {name: value.to(device) for name, value in raw.items()}
        yield Chunk(number, *_embed(encoder, front_end, batch, way))


@torch.no_grad()
def _embed(
    encoder: Encoder, front_end: FrontEnd, batch: dict[str, Tensor], way: Way
) -> tuple[Features, Features]:
    pictures = front_end.pictures(batch["images"])
    # Where the sound is that of the whole clip, all frames share one segment.
    starts = batch["starts"][:, :1] if front_end.data.audio == "clip" else batch["starts"]
    segments = front_end.clip_segments(batch["waveform"], batch["num_steps"], starts)
    audio = _vectors(encoder, segments, "audio", way).expand(-1, pictures.shape[1], -1)
    return audio.cpu().numpy(), _vectors(encoder, pictures, "image", way).cpu().numpy()


def _vectors(encoder: Encoder, inputs: Tensor, modality: Modality, way: Way) -> Tensor:
    """Return the vector of every frame or segment, (B, S, D) float32."""
    vector = encoder.encode if way.view == "global" else encoder.branch_vector
    is_half = way.precision == "bfloat16"
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=is_half):
        vectors = vector(inputs.flatten(0, 1), modality)
    vectors = vectors.float()
    if way.view == "global":
        vectors = F.normalize(vectors, dim=-1)
    return vectors.unflatten(0, inputs.shape[:2])
