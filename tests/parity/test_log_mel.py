"""The spectrogram and the segments against figures computed with the released loader."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tgdp.data.log_mel import log_mel
from tgdp.data.timing import frame_times, segment_starts

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "parity" / "golden.npz") as figures:
        return {key: figures[key] for key in figures.files if key.startswith(("fbank", "segments"))}


def test_the_log_mel_is_the_released_loaders(golden: dict[str, np.ndarray]) -> None:
    waveform = torch.from_numpy(golden["fbank/waveform_16k"].astype(np.float32))
    ours = log_mel((waveform - waveform.mean())[None])[0]
    theirs = torch.from_numpy(golden["fbank/log_mel"])
    assert ours.shape == theirs.shape
    # A bin 40 dB below the loudest one of its step is float32 rounding in either program (the order
    # of two additions moves it by 5e-3), so the tight bound holds above that level.
    loud = theirs > theirs.amax(dim=1, keepdim=True) - np.log(1e4)
    difference = (ours - theirs).abs()
    assert difference[loud].max() < 1.5e-4
    assert (difference[loud] > 1e-4).float().mean() < 1e-4
    assert (difference > 1e-4).float().mean() < 0.01
    assert difference.max() < 1e-2


def test_the_empty_mel_bin_is_kept_constant(golden: dict[str, np.ndarray]) -> None:
    waveform = torch.from_numpy(golden["fbank/waveform_16k"].astype(np.float32))
    assert torch.equal(log_mel(waveform[None])[0, :, 3].unique(), torch.tensor([-15.942385]))


def test_upstream_segments_are_the_released_ones(golden: dict[str, np.ndarray]) -> None:
    starts = segment_starts(frame_times(10.0, 16), 998, 416, "upstream")
    assert [[start, start + 416] for start in starts] == golden["segments/start_end"].tolist()
