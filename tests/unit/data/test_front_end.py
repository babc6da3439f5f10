"""From stored bytes to the model's input: sizes, order of colours, normalisation, timing."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from tgdp.config import DataConfig
from tgdp.data.clips import picture
from tgdp.data.front_end import FrontEnd
from tgdp.data.log_mel import log_mel, num_samples
from tgdp.data.timing import frame_times, segment_starts


def jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=100, subsampling=0)
    return file.getvalue()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    stored = jpeg(pixels)
    plain = np.array(Image.open(io.BytesIO(stored)))
    assert np.array_equal(picture(stored, 64).permute(1, 2, 0).numpy(), plain)


@pytest.mark.parametrize("shape", [(90, 160), (160, 90), (64, 301), (30, 40)])
def test_the_centre_of_any_picture_is_cut_out(shape: tuple[int, int]) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    middle, half = (shape[0] // 2, shape[1] // 2), min(shape) // 2
    pixels[middle[0] - half : middle[0] + half, middle[1] - half : middle[1] + half, 0] = 200
    cut = picture(jpeg(pixels), 48)
    assert cut.shape == (3, 48, 48)
    assert cut[0].float().mean() > 185
    assert cut[1:].float().mean() < 12


def test_pictures_are_normalised_as_imagenet() -> None:
    front_end = FrontEnd(DataConfig.model_validate({}))
    colours = torch.tensor([[124, 116, 104], [255, 0, 0]], dtype=torch.uint8)
    normal = front_end.pictures(colours[:, :, None, None].expand(2, 3, 4, 4))
    assert normal[0].abs().max() < 0.01
    torch.testing.assert_close(normal[1, 0, 0, 0], torch.tensor((1 - 0.485) / 0.229))
    torch.testing.assert_close(normal[1, 2, 0, 0], torch.tensor(-0.406 / 0.225))


def test_what_lies_beyond_the_clip_is_zero_before_normalisation() -> None:
    front_end = FrontEnd(DataConfig.model_validate({"segment_steps": 32}))
    waveform = torch.randn(2, num_samples(32)) * 0.1
    image = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    audio = front_end(image, waveform, torch.tensor([32, 10])).audio
    torch.testing.assert_close(audio[0], (log_mel(waveform)[0] + 5.081) / 4.4849)
    assert (audio[1, 10:] == torch.tensor(5.081 / 4.4849)).all()
    torch.testing.assert_close(audio[1, :10], (log_mel(waveform)[1, :10] + 5.081) / 4.4849)


def test_the_front_end_stores_nothing_in_checkpoints() -> None:
    assert FrontEnd(DataConfig.model_validate({})).state_dict() == {}


def test_autocast_does_not_blur_the_spectrogram() -> None:
    waveform = torch.randn(1, 4000) * 0.1
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(log_mel(waveform), log_mel(waveform.clone()))
        inside = log_mel(waveform)
    assert torch.equal(inside, log_mel(waveform))


def test_segments_are_centred_where_the_frame_was_shown() -> None:
    times = frame_times(8.0, 4)
    assert times == [1.0, 3.0, 5.0, 7.0]
    assert segment_starts(times, 798, 200, "clip") == [0, 200, 400, 598]
    assert segment_starts(times, 150, 200, "clip") == [0, 0, 0, 0]
    assert segment_starts(times, 150, 200, "upstream") == [0, 156, 412, 668]
