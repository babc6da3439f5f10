"""Two views of prepared clips: random (frame, segment) pairs to train on, whole clips to embed."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from tgdp.config import DataConfig
from tgdp.data import draws
from tgdp.data.augment import PICTURE_NUMBERS, augment_picture, roll_steps
from tgdp.data.log_mel import HOP, num_samples, num_steps
from tgdp.data.shards import PreparedClips
from tgdp.data.timing import frame_times, segment_starts


class PairDataset(Dataset[dict[str, Tensor]]):
    """Pairs of one random frame and the segment that goes with it.

    Which frame, and how the pair is augmented where that is asked for, depends on seed, epoch and
    clip alone, so loader workers, ranks and restarts do not change what a run sees.

    Args:
        folder: Prepared data.
        split: Split whose clips are read.
        data: How a clip becomes a picture and a stretch of sound.
        seed: Seed of the run.

    Raises:
        UserError: The folder is not prepared or has no such split.
    """

    def __init__(self, folder: Path, split: str, data: DataConfig, seed: int) -> None:
        self.clips = PreparedClips(folder)
        self.data = data
        self.seed = seed
        self._indices = self.clips.indices(split)
        self._frames: dict[int, list[int]] = {}

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return the pair of a clip in an epoch.

        Args:
            key: (epoch, index of the clip in the split).

        Returns:
            `image` uint8 (3, S, S); `waveform` float32, the samples of one segment, zero-padded;
            `num_steps`, the steps of it that lie within the clip; `index`; with `data.roll_audio`
            also `roll`, the steps by which the front end is to roll the segment.
        """
        epoch, index = key
        clip = int(self._indices[index])
        frame = self._frames_of(epoch)[index]
        start = _starts(self.clips, clip, self.data)[frame]
        pair = {
            "image": self._picture(key, self.clips.frame(clip, frame)),
            "waveform": self._stretch(clip, start),
            "num_steps": torch.tensor(_steps_within(self.clips, clip, self.data, start)),
            "index": torch.tensor(index),
        }
        if self.data.roll_audio:
            number = self._numbers("augment/audio", key, 1)[0]
            steps = roll_steps(number, self.data.roll_audio, self.data.audio_steps)
            pair["roll"] = torch.tensor(steps)
        return pair

    def _picture(self, key: tuple[int, int], jpeg: bytes) -> Tensor:
        if not self.data.augment_image:
            return picture(jpeg, self.data.image_size)
        numbers = self._numbers("augment/image", key, PICTURE_NUMBERS)
        return _as_tensor(augment_picture(_decoded(jpeg), self.data.image_size, numbers))

    def _numbers(self, purpose: str, key: tuple[int, int], num: int) -> list[float]:
        epoch, index = key
        return draws.uniform(self.seed, purpose, epoch, torch.tensor([index]), num)[0].tolist()

    def _stretch(self, clip: int, start: int) -> Tensor:
        length = num_samples(self.data.audio_steps)
        first = min(start * HOP, int(self.clips.num_samples[clip]))
        samples = self.clips.waveform(clip, first, first + length)
        if len(samples) < length:
            samples = np.concatenate([samples, np.zeros(length - len(samples), np.float32)])
        return torch.from_numpy(samples)

    def _frames_of(self, epoch: int) -> list[int]:
        # One hash over all clips costs less than a hash a clip; only the newest epoch is kept.
        if epoch not in self._frames:
            numbers = draws.uniform(self.seed, "frame", epoch, torch.arange(len(self)), 1)[:, 0]
            self._frames = {epoch: (numbers * self.clips.num_frames).long().tolist()}
        return self._frames[epoch]


class ClipDataset(Dataset[dict[str, Tensor]]):
    """Whole clips: every frame, the whole sound, and where each frame's segment starts.

    Args:
        folder: Prepared data.
        split: Split whose clips are read.
        data: How a clip becomes pictures and stretches of sound.

    Raises:
        UserError: The folder is not prepared or has no such split.
    """

    def __init__(self, folder: Path, split: str, data: DataConfig) -> None:
        self.clips = PreparedClips(folder)
        self.data = data
        self.indices = self.clips.indices(split)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return a clip.

        Returns:
            `images` uint8 (S, 3, H, W); `waveform` float32 (L,); `num_steps`, the steps of its
            spectrogram; `starts` (S,), the first step of each frame's segment; `index`.
        """
        clip = int(self.indices[index])
        size = self.data.image_size
        frames = range(self.clips.num_frames)
        return {
            "images": torch.stack([picture(self.clips.frame(clip, f), size) for f in frames]),
            "waveform": torch.from_numpy(self.clips.waveform(clip)),
            "num_steps": torch.tensor(_clip_steps(self.clips, clip, self.data)),
            "starts": torch.tensor(_starts(self.clips, clip, self.data)),
            "index": torch.tensor(index),
        }


def collate_clips(clips: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return clips of `ClipDataset` as one batch, the waveforms zero-padded to the longest."""
    batch: dict[str, Any] = {name: [clip[name] for clip in clips] for name in clips[0]}
    waveforms = batch.pop("waveform")
    padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    return {**{name: torch.stack(values) for name, values in batch.items()}, "waveform": padded}


def picture(jpeg: bytes, size: int) -> Tensor:
    """Return a stored picture as uint8 (3, size, size): short side resized, centre cut out.

    Source: released loader (bicubic, then centre crop). A picture of that size is left as it is.
    """
    image = _decoded(jpeg)
    return _as_tensor(image if image.size == (size, size) else _resize(image, size))


def _decoded(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    return image if image.mode == "RGB" else image.convert("RGB")


def _as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def _resize(image: Image.Image, size: int) -> Image.Image:
    short = min(image.size)
    width, height = (int(side * size / short) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def _clip_steps(clips: PreparedClips, clip: int, data: DataConfig) -> int:
    steps = num_steps(int(clips.num_samples[clip]))
    return min(steps, data.clip_steps) if data.timing == "upstream" else steps


def _starts(clips: PreparedClips, clip: int, data: DataConfig) -> list[int]:
    if data.audio == "clip":
        return [0] * clips.num_frames
    times = frame_times(float(clips.seconds[clip]), clips.num_frames)
    steps = _clip_steps(clips, clip, data)
    return segment_starts(times, steps, data.segment_steps, data.timing, data.clip_steps)


def _steps_within(clips: PreparedClips, clip: int, data: DataConfig, start: int) -> int:
    return min(max(0, _clip_steps(clips, clip, data) - start), data.audio_steps)
