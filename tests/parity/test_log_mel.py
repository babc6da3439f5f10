"""The spectrogram and the segments against figures computed with the released loader."""

import os
import subprocess
import sys
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


CHECK = """
import sys
import numpy as np
import torch
from tgdp.data.log_mel import log_mel
torch.set_num_threads(2)
with np.load(sys.argv[1]) as figures:
    waveform = torch.from_numpy(figures["fbank/waveform_16k"].astype(np.float32))
    theirs = torch.from_numpy(figures["fbank/log_mel"])
ours = log_mel((waveform - waveform.mean())[None])[0]
assert ours.shape == theirs.shape
print((ours - theirs).abs().max().item())
"""


def test_every_value_is_the_released_loaders_to_1e_4(shared: Path) -> None:
    # The golden figures were computed with MKL's portable Fourier transform. Another one rounds
    # differently, which moves bins 40 dB below the loudest by up to 6e-3, torchaudio's included.
    command = [sys.executable, "-c", CHECK, str(shared / "parity" / "golden.npz")]
    environment = {**os.environ, "MKL_CBWR": "COMPATIBLE"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 1e-4


def test_this_processors_fourier_transform_moves_quiet_bins_only(
    golden: dict[str, np.ndarray],
) -> None:
    waveform = torch.from_numpy(golden["fbank/waveform_16k"].astype(np.float32))
    theirs = torch.from_numpy(golden["fbank/log_mel"])
    difference = (log_mel((waveform - waveform.mean())[None])[0] - theirs).abs()
    loud = theirs > theirs.amax(dim=1, keepdim=True) - np.log(1e4)
    assert difference[loud].max() < 1.5e-4
    assert (difference > 1e-4).float().mean() < 0.01


def test_the_empty_mel_bin_is_kept_constant(golden: dict[str, np.ndarray]) -> None:
    waveform = torch.from_numpy(golden["fbank/waveform_16k"].astype(np.float32))
    assert torch.equal(log_mel(waveform[None])[0, :, 3].unique(), torch.tensor([-15.942385]))


def test_upstream_segments_are_the_released_ones(golden: dict[str, np.ndarray]) -> None:
    starts = segment_starts(frame_times(10.0, 16), 998, 416, "upstream")
    assert [[start, start + 416] for start in starts] == golden["segments/start_end"].tolist()
