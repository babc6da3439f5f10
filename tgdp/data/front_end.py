"""From pictures and sound as stored to what the model reads, on the model's device."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from tgdp.config import DataConfig
from tgdp.data import augment
from tgdp.data.log_mel import WINDOW, log_mel

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)
"""Of the ImageNet pictures; released loader."""


class Inputs(NamedTuple):
    """What the model reads: pictures (B, 3, H, W) and segments (B, T, 128), both normalised."""

    image: Tensor
    audio: Tensor


class FrontEnd(nn.Module):
    """Normalises pictures and turns waveforms into normalised log-mel segments.

    Args:
        data: Lengths and the spectrogram's mean and standard deviation.
    """

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, data: DataConfig) -> None:
        super().__init__()
        self.data = data
        mean, std = torch.tensor(IMAGE_MEAN), torch.tensor(IMAGE_STD)
        self.register_buffer("image_mean", mean[:, None, None] * 255, persistent=False)
        self.register_buffer("image_std", std[:, None, None] * 255, persistent=False)

    def forward(
        self,
        image: UInt8[Tensor, "B 3 H W"],
        waveform: Float[Tensor, "B L"],
        num_steps: Int[Tensor, " B"],
        roll: Int[Tensor, " B"] | None = None,
    ) -> Inputs:
        """Return the model's inputs for a batch of `PairDataset`.

        Args:
            image: RGB pictures.
            waveform: Stretches of mean-removed waveform that give exactly one segment each.
            num_steps: Steps of each segment that lie within the clip.
            roll: Steps by which each segment is rolled in time; None where rolling is off.
        """
        audio = self._normalise(log_mel(waveform), num_steps)
        return Inputs(self.pictures(image), audio if roll is None else augment.roll(audio, roll))

    def pictures(self, images: UInt8[Tensor, "... 3 H W"]) -> Float[Tensor, "... 3 H W"]:
        """Return pictures normalised with ImageNet's mean and standard deviation."""
        return (images - self.image_mean) / self.image_std

    def clip_segments(
        self,
        waveform: Float[Tensor, "B L"],
        num_steps: Int[Tensor, " B"],
        starts: Int[Tensor, "B S"],
    ) -> Float[Tensor, "B S T F"]:
        """Return every segment of whole clips; the spectrogram is computed once a clip.

        Args:
            waveform: Mean-removed waveforms, zero-padded to one length.
            num_steps: Steps of each clip's spectrogram before padding.
            starts: First step of the segment that goes with each frame.
        """
        segment = self.data.audio_steps
        waveform = nn.functional.pad(waveform, (0, max(0, WINDOW - waveform.shape[1])))
        spectrogram = log_mel(waveform)
        missing = int(starts.max()) + segment - spectrogram.shape[1]
        spectrogram = nn.functional.pad(spectrogram, (0, 0, 0, max(0, missing)))
        spectrogram = self._normalise(spectrogram, num_steps)
        steps = starts[..., None] + torch.arange(segment, device=starts.device)  # (B, S, T)
        clips = torch.arange(len(starts), device=starts.device)[:, None, None]
        return spectrogram[clips, steps]

    def _normalise(self, spectrogram: Tensor, num_steps: Tensor) -> Tensor:
        # The released loader pads the log-mel with zeros first and normalises afterwards, so what
        # lies beyond the clip's end is (0 - mean) / std, not 0.
        steps = torch.arange(spectrogram.shape[1], device=spectrogram.device)
        outside = steps >= num_steps[:, None]
        padded = spectrogram.masked_fill(outside[..., None], 0.0)
        return (padded - self.data.audio_mean) / self.data.audio_std
