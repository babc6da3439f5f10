"""Clips -> one audio and one visual vector a frame, full view."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from tgdp.config import DataConfig
from tgdp.data.clips import ClipDataset, collate_clips
from tgdp.data.front_end import FrontEnd
from tgdp.model.encoder import Encoder

Features = NDArray[np.float32]

CLIPS_AT_ONCE = 8
"""Clips a batch: 16 frames each make 128 pictures."""


class ClipFeatures(NamedTuple):
    """L2-normalised global vectors of every frame and its segment.

    Attributes:
        ids: Clip ids, in the order of the rows.
        audio: (N, S, D) float32.
        image: (N, S, D) float32.
    """

    ids: list[str]
    audio: Features
    image: Features


@torch.no_grad()
def embed_clips(
    encoder: Encoder, folder: Path, split: str, data: DataConfig, num_workers: int = 0
) -> ClipFeatures:
    """Return the features of every clip of a split.

    Args:
        encoder: Evaluated as it is, on its own device, in float32.
        folder: Prepared data.
        split: Which clips.
        data: How a clip becomes pictures and segments.
        num_workers: Loader processes.

    Raises:
        UserError: The data cannot be read.
    """
    encoder.eval()
    device = next(encoder.parameters()).device
    dataset, front_end = ClipDataset(folder, split, data), FrontEnd(data).to(device)
    loader = DataLoader(dataset, CLIPS_AT_ONCE, collate_fn=collate_clips, num_workers=num_workers)
    audio: list[Features] = []
    image: list[Features] = []
    for raw in loader:
        batch = {name: value.to(device) for name, value in raw.items()}
        segments = front_end.clip_segments(batch["waveform"], batch["num_steps"], batch["starts"])
        pictures = front_end.pictures(batch["images"])
        shape = pictures.shape[:2]
        vectors = encoder(segments.flatten(0, 1), pictures.flatten(0, 1))
        audio.append(F.normalize(vectors.audio, dim=-1).unflatten(0, shape).cpu().numpy())
        image.append(F.normalize(vectors.image, dim=-1).unflatten(0, shape).cpu().numpy())
    ids = [dataset.clips.ids[i] for i in dataset.indices]
    return ClipFeatures(ids, np.concatenate(audio), np.concatenate(image))
