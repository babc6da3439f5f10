"""Kaldi log-mel spectrograms in plain torch: batched, on any device, as the released loader's.

Kaldi treats every 25 ms window on its own (mean, pre-emphasis, window, spectrum), so the
spectrogram of a stretch of sound is that stretch of the whole clip's spectrogram, exactly.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from tgdp.config import MEL_BINS

SAMPLE_RATE = 16_000
WINDOW = 400
"""Samples in one step's window: 25 ms."""
HOP = 160
"""Samples from one step to the next: 10 ms."""
FFT_SIZE = 512
PRE_EMPHASIS = 0.97
LOWEST_HZ = 20.0
SMALLEST_POWER = torch.finfo(torch.float32).eps
"""Power below which the logarithm is taken of this instead, as Kaldi does."""


def num_steps(num_samples: int) -> int:
    """Return how many whole windows lie within a waveform ("snip edges")."""
    return max(0, 1 + (num_samples - WINDOW) // HOP)


def num_samples(steps: int) -> int:
    """Return how many samples the windows of so many steps cover."""
    return (steps - 1) * HOP + WINDOW


def log_mel(waveforms: Float[Tensor, "B L"]) -> Float[Tensor, "B T F"]:
    """Return the log-mel spectrograms of 16 kHz waveforms, 128 bins, one step each 10 ms.

    Bin 3 holds no spectral line at this resolution and stays constant; it is kept because the
    released weights expect 128 bins.

    Args:
        waveforms: Samples in [-1, 1], at least 400 of them, the clip's mean already removed.

    Source: Kaldi `compute-fbank-feats` as the released loader calls it (method section 1).
    """
    # A spectrogram in bfloat16 would be wrong in the second digit, so autocast is kept out.
    with torch.autocast(waveforms.device.type, enabled=False):
        frames = waveforms.float().unfold(-1, WINDOW, HOP)  # (B, T, 400)
        # Kaldi's order of operations to the letter: in quiet bins rounding alone moves the result
        # by 1e-3, and only the same additions round the same way.
        frames = frames - frames.mean(dim=-1, keepdim=True)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        frames = (frames - before.mul_(PRE_EMPHASIS)).mul_(_window(waveforms.device))
        # In place where it can be: twice as fast on a CPU as with a new array for every step.
        parts = torch.view_as_real(torch.fft.rfft(frames, n=FFT_SIZE)).square_()  # (B, T, 257, 2)
        power = parts[..., 0] + parts[..., 1]
        return (power @ _mel_bank(waveforms.device)).clamp_min_(SMALLEST_POWER).log_()


@functools.cache
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(WINDOW, periodic=False, device=device)


@functools.cache
def _mel_bank(device: torch.device) -> Tensor:
    """Triangles equally wide on the mel scale, from 20 Hz to the Nyquist frequency: (257, 128)."""
    # In float32 throughout, as the released loader's: a line on the very edge of a triangle gets a
    # weight that is nothing but rounding, and a loud line shows it.
    lines = 1127.0 * (1.0 + SAMPLE_RATE / FFT_SIZE * torch.arange(FFT_SIZE // 2) / 700.0).log()
    lowest, highest = _mel(LOWEST_HZ), _mel(SAMPLE_RATE / 2)
    width = (highest - lowest) / (MEL_BINS + 1)
    left, centre, right = (lowest + (torch.arange(MEL_BINS) + edge) * width for edge in (0, 1, 2))
    rising = (lines[:, None] - left) / (centre - left)
    falling = (right - lines[:, None]) / (right - centre)
    bank = torch.minimum(rising, falling).clamp_min(0.0)
    # Kaldi leaves the line at the Nyquist frequency out.
    return torch.nn.functional.pad(bank, (0, 0, 0, 1)).to(device)


def _mel(hertz: float) -> float:
    return 1127.0 * math.log(1.0 + hertz / 700.0)
