"""Decoding: the frame shown at a time, the sound beside it, and every way to refuse a file."""

from pathlib import Path

import numpy as np
import pytest
from media_files import Media, grey_ramp

from tgdp.data import media
from tgdp.data.card import PrepareSettings
from tgdp.data.demux import ClipError
from tgdp.data.media import decode_clip, stored_size
from tgdp.data.timing import frame_times

SETTINGS = PrepareSettings(frame_size=48)


def shown_at(times: list[float], moment: float) -> float:
    return max(time for time in times if time <= moment)


def levels(frames: list[np.ndarray]) -> list[float]:
    return [float(frame.mean()) for frame in frames]


def loudest_hertz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(spectrum.argmax() * 16_000 / len(samples))


@pytest.mark.parametrize(
    "times",
    [
        [i / 10 for i in range(30)],
        [i / 30 for i in range(90)],
        [0.0, 0.05, 0.1, 0.9, 0.95, 1.7, 1.72, 1.74, 2.5, 2.9],
        [float(i) for i in range(3)],
    ],
    ids=["10 fps", "30 fps", "variable rate", "1 fps"],
)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_the_frame_is_the_one_shown_at_its_time(
    tmp_path: Path, times: list[float], container: str
) -> None:
    clip = decode_clip(Media(times=times).write(tmp_path / f"a.{container}"), SETTINGS)
    wanted = [
        grey_ramp(shown_at(times, moment + 1e-3))[0] for moment in frame_times(clip.seconds, 16)
    ]
    assert np.abs(np.subtract(levels(clip.frames), wanted)).max() < 2.5


def test_pictures_left_out_while_decoding_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Media(times=[i / 30 for i in range(90)]).write(tmp_path / "a.mp4")
    quick = decode_clip(file, SETTINGS)
    monkeypatch.setattr(media, "_shown", lambda track, times: set())
    full = decode_clip(file, SETTINGS)
    assert all(np.array_equal(a, b) for a, b in zip(quick.frames, full.frames, strict=True))


def test_sound_that_starts_later_moves_the_common_start(tmp_path: Path) -> None:
    file = Media(sound_start=1.0, sound_seconds=2.0).write(tmp_path / "a.mkv")
    clip = decode_clip(file, SETTINGS)
    assert clip.start == pytest.approx(1.0, abs=0.05)
    assert clip.seconds == pytest.approx(2.0, abs=0.15)
    assert levels(clip.frames)[0] == pytest.approx(grey_ramp(1.0)[0], abs=2.5)


def test_sound_shorter_than_pictures_ends_the_clip(tmp_path: Path) -> None:
    clip = decode_clip(Media(sound_seconds=1.5).write(tmp_path / "a.mp4"), SETTINGS)
    assert clip.seconds == pytest.approx(1.5, abs=0.1)
    assert levels(clip.frames)[-1] == pytest.approx(grey_ramp(1.4)[0], abs=2.5)


def test_a_long_clip_is_cut(tmp_path: Path) -> None:
    settings = PrepareSettings(max_seconds=1.28)
    clip = decode_clip(Media().write(tmp_path / "a.mp4"), settings)
    assert clip.seconds == 1.28
    assert len(clip.samples) == 20_480


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
def test_a_tone_keeps_its_pitch(tmp_path: Path, rate: int, layout: str) -> None:
    file = Media(hertz=1000.0, rate=rate, layout=layout).write(tmp_path / "a.mp4")
    clip = decode_clip(file, SETTINGS)
    assert len(clip.samples) == pytest.approx(clip.seconds * 16_000, abs=200)
    assert loudest_hertz(clip.samples) == pytest.approx(1000, abs=2)
    assert np.abs(clip.samples).max() > 8000


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx-vp9"])
def test_other_codecs_are_read(tmp_path: Path, codec: str) -> None:
    clip = decode_clip(Media(codec=codec).write(tmp_path / "a.mkv"), SETTINGS)
    assert levels(clip.frames)[8] == pytest.approx(grey_ramp(1.5)[0], abs=5)


def test_pictures_are_reduced_but_never_enlarged(tmp_path: Path) -> None:
    assert stored_size(640, 360, 256) == (455, 256)
    assert stored_size(360, 640, 256) == (256, 455)
    assert stored_size(120, 90, 256) == (120, 90)
    file = Media(size=(96, 64)).write(tmp_path / "a.mp4")
    assert decode_clip(file, PrepareSettings(frame_size=32)).frames[0].shape == (32, 48, 3)


def test_a_red_picture_is_red(tmp_path: Path) -> None:
    file = Media(colour=lambda time: (200, 30, 30)).write(tmp_path / "a.mp4")
    pixel = decode_clip(file, SETTINGS).frames[0][20, 20]
    assert np.abs(pixel.astype(int) - (200, 30, 30)).max() < 8


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (Media(times=None), "no picture stream"),
        (Media(hertz=None), "no sound stream"),
        (Media(loudness=0.0), "silent: the loudest sample is 0"),
        (Media(sound_seconds=0.4), "too short: 0.4"),
    ],
    ids=["sound only", "pictures only", "silent", "too short"],
)
def test_unusable_clips_are_refused_with_the_reason(
    tmp_path: Path, made: Media, reason: str
) -> None:
    with pytest.raises(ClipError, match=reason):
        decode_clip(made.write(tmp_path / "a.mp4"), SETTINGS)


def test_a_missing_file_and_rubbish_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"^file missing$"):
        decode_clip(tmp_path / "none.mp4", SETTINGS)
    (tmp_path / "text.mp4").write_text("no video at all" * 100)
    with pytest.raises(ClipError, match=r"cannot be opened: Invalid data"):
        decode_clip(tmp_path / "text.mp4", SETTINGS)
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(ClipError, match=r"cannot be opened"):
        decode_clip(tmp_path / "empty.mp4", SETTINGS)


@pytest.mark.parametrize("container", ["mp4", "avi"])
def test_a_truncated_file_is_refused(tmp_path: Path, container: str) -> None:
    # avi: its index and lengths are stated in the header, the second half is gone.
    file = Media(codec="mpeg4").write(tmp_path / f"a.{container}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ClipError, match=r"cannot be opened|cut off|decode error"):
        decode_clip(file, SETTINGS)


def test_damaged_pictures_are_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    file = Media(size=(320, 240), colour=lambda time: tuple(noise.integers(0, 255, 3))).write(
        tmp_path / "a.mp4"
    )
    data = bytearray(file.read_bytes())
    begin, end = data.index(b"mdat") + 2000, data.index(b"moov") - 2000
    data[begin:end] = noise.integers(0, 256, end - begin, np.uint8).tobytes()
    file.write_bytes(data)
    with pytest.raises(ClipError, match="decode error"):
        decode_clip(file, SETTINGS)


@pytest.mark.shared
def test_real_clips_are_decoded(shared: Path) -> None:
    files = sorted((shared / "real_clips" / "video").glob("*.mp4"))
    assert len(files) == 14
    for file in files[:2] + files[7:12]:
        clip = decode_clip(file, PrepareSettings())
        assert len(clip.frames) == 16
        assert clip.frames[0].mean() > 5
        assert min(clip.frames[0].shape[:2]) <= 256
        assert clip.seconds == pytest.approx(6 if "dog" in file.name else 10, abs=0.06)
        assert len(clip.samples) == pytest.approx(clip.seconds * 16_000, abs=200)
