"""Clips -> one audio and one visual vector a frame, full view."""

from pathlib import Path
from typing import NamedTuple

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
    with deaf_to_requests():
        raws = iter(loader)
    for raw in raws:
        batch = {name: value.to(device) for name, value in raw.items()}
        pictures = front_end.pictures(batch["images"])
        num_frames = pictures.shape[1]
        # Where the sound is that of the whole clip, all frames share one segment.
        starts = batch["starts"][:, :1] if data.audio == "clip" else batch["starts"]
        segments = front_end.clip_segments(batch["waveform"], batch["num_steps"], starts)
        audio.append(_normed(encoder, segments, "audio").expand(-1, num_frames, -1).cpu().numpy())
        image.append(_normed(encoder, pictures, "image").cpu().numpy())
    ids = [dataset.clips.ids[i] for i in dataset.indices]
    return ClipFeatures(ids, np.concatenate(audio), np.concatenate(image))


def _normed(encoder: Encoder, inputs: Tensor, modality: Modality) -> Tensor:
    """Return the L2-normalised vector of every frame or segment, (B, S, D)."""
    vectors = encoder.encode(inputs.flatten(0, 1), modality)
    return F.normalize(vectors, dim=-1).unflatten(0, inputs.shape[:2])
