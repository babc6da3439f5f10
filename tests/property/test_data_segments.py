"""Laws of the front end: a batch is its rows, and a training pair is a piece of the whole clip."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tgdp.config import DataConfig
from tgdp.data.clips import ClipDataset, PairDataset, collate_clips
from tgdp.data.front_end import FrontEnd
from tgdp.data.log_mel import log_mel, num_samples, num_steps
from tgdp.data.timing import frame_times, segment_starts


@settings(deadline=None, max_examples=20)
@given(batch=st.integers(1, 4), length=st.integers(400, 4000), seed=st.integers(0, 999))
def test_a_batch_of_spectrograms_is_its_rows(batch: int, length: int, seed: int) -> None:
    waveforms = torch.randn(batch, length, generator=torch.Generator().manual_seed(seed)) * 0.1
    together = log_mel(waveforms)
    assert together.shape == (batch, num_steps(length), 128)
    one_by_one = torch.cat([log_mel(row[None]) for row in waveforms])
    torch.testing.assert_close(together, one_by_one, atol=1e-5, rtol=0)


@given(steps=st.integers(1, 3000))
def test_samples_and_steps_are_inverse(steps: int) -> None:
    assert num_steps(num_samples(steps)) == steps
    assert num_steps(num_samples(steps) - 1) == steps - 1


@given(
    seconds=st.floats(0.1, 12),
    num_frames=st.integers(1, 32),
    segment=st.integers(16, 1024),
    timing=st.sampled_from(["clip", "upstream"]),
)
def test_segments_lie_within_the_clip_in_order(
    seconds: float, num_frames: int, segment: int, timing: str
) -> None:
    steps = num_steps(round(seconds * 16_000))
    times = frame_times(seconds, num_frames)
    assert all(0 < time < seconds for time in times)
    starts = segment_starts(times, steps, segment, timing)  # type: ignore[arg-type]
    length = 1024 if timing == "upstream" else steps
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert starts[-1] <= max(0, length - segment)


@pytest.mark.parametrize("timing", ["clip", "upstream"])
@pytest.mark.parametrize("audio", ["wav", "flac"])
def test_a_pair_is_a_piece_of_its_clip(
    prepared: Callable[..., Path], audio: str, timing: str
) -> None:
    folder = prepared((0.5, 1.0, 1.3, 1.0, 4.0, 1.0, 11.0), audio=audio)
    data = DataConfig(image_size=32, segment_steps=128, timing=timing)  # type: ignore[arg-type]
    clips = ClipDataset(folder, "train", data)
    front_end = FrontEnd(data)
    whole = collate_clips([clips[i] for i in range(len(clips))])
    segments = front_end.clip_segments(whole["waveform"], whole["num_steps"], whole["starts"])
    pairs = PairDataset(folder, "train", data, seed=3)
    seen = set()
    for epoch in range(25):
        batch = [pairs[epoch, i] for i in range(len(pairs))]
        stacked = {name: torch.stack([pair[name] for pair in batch]) for name in batch[0]}
        inputs = front_end(stacked["image"], stacked["waveform"], stacked["num_steps"])
        frames = torch.tensor(pairs._frames_of(epoch))
        rows = torch.arange(len(pairs))
        torch.testing.assert_close(inputs.audio, segments[rows, frames], atol=1e-5, rtol=0)
        assert torch.equal(stacked["image"], whole["images"][rows, frames])
        seen |= set(frames.tolist())
    assert seen == set(range(16))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seconds=st.floats(0.03, 6), segment=st.sampled_from([16, 128, 416]))
def test_a_segment_of_any_clip_has_the_asked_length(seconds: float, segment: int) -> None:
    front_end = FrontEnd(DataConfig.model_validate({"segment_steps": segment}))
    waveform = torch.randn(1, round(seconds * 16_000)) * 0.1
    steps = num_steps(waveform.shape[1])
    starts = torch.tensor([segment_starts(frame_times(seconds, 16), steps, segment, "clip")])
    segments = front_end.clip_segments(waveform, torch.tensor([steps]), starts)
    assert segments.shape == (1, 16, segment, 128)
    padding = torch.tensor(5.081 / 4.4849)
    assert (segments[0, 0, min(steps, segment) :] == padding).all()


@pytest.mark.parametrize("clip_steps", [112, 416, 1040])
def test_the_window_of_a_whole_clip_is_the_same_whatever_the_frame(
    prepared: Callable[..., Path], clip_steps: int
) -> None:
    folder = prepared((2.0, 1.0, 4.0, 1.0, 11.0))
    data = DataConfig(image_size=32, audio="clip", clip_steps=clip_steps)
    pairs, front_end = PairDataset(folder, "train", data, seed=3), FrontEnd(data)
    clips = ClipDataset(folder, "train", data)
    sounds, frames = [], []
    for epoch in range(8):
        batch = [pairs[epoch, i] for i in range(len(pairs))]
        stacked = {name: torch.stack([pair[name] for pair in batch]) for name in batch[0]}
        inputs = front_end(stacked["image"], stacked["waveform"], stacked["num_steps"])
        sounds.append(inputs.audio)
        frames.append(stacked["image"])
    assert sounds[0].shape == (3, clip_steps, 128)
    assert all(torch.equal(sounds[0], sound) for sound in sounds)
    assert any(not torch.equal(frames[0], frame) for frame in frames)
    padding = torch.tensor(5.081 / 4.4849)
    for index, steps in enumerate((198, 398, 1098)):
        within = min(steps, clip_steps)
        assert (sounds[0][index, within:] == padding).all()
        assert (sounds[0][index, :within] != padding).any(dim=1).all()
        assert clips[index]["starts"].tolist() == [0] * 16
