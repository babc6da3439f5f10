"""Decoding of clips: frames at given times and the sound beside them, from any container.

Nothing is replaced in silence: what cannot be decoded as asked is a `ClipError` with its reason.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.resampler import AudioResampler
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from tgdp.data.card import SAMPLE_RATE, PrepareSettings
from tgdp.data.demux import MISSING_SECONDS, ClipError, Track, demux, open_media, seconds_of, tracks
from tgdp.data.timing import frame_times

SILENCE_PEAK = 10
"""Of 32,768: a clip that never gets louder (-70 dB) has no sound to learn from."""
AUDIO_GAP_SECONDS = 0.1
"""A hole in the sound that long would move all that follows against the pictures."""

RGB = NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedClip:
    """A clip as it will be stored.

    Attributes:
        frames: RGB pictures (H, W, 3).
        samples: 16-bit mono sound at 16 kHz.
        seconds: The stretch that has both picture and sound.
        fps: Pictures a second in the file; 0 where it does not say.
        size: Width and height in the file.
        start: Where the stretch starts on the file's own clock, seconds.
    """

    frames: list[RGB]
    samples: NDArray[np.int16]
    seconds: float
    fps: float
    size: tuple[int, int]
    start: float


def decode_clip(path: Path, settings: PrepareSettings) -> DecodedClip:
    """Return frames and sound of a media file over the time that both cover.

    The frame for a time is the one shown then: the last that starts at or before it.

    Args:
        path: Any container and codecs that PyAV reads.
        settings: Frames, sizes and lengths.

    Raises:
        ClipError: The reason why this file gives no sample.
    """
    with open_media(path) as container:
        video, audio = demux(container, settings.max_seconds)
        start = max(video.start, audio.start)
        seconds = min(video.end, audio.end) - start
        # Only what goes wrong within the kept stretch matters, so the length is cut first.
        seconds = check_length(min(seconds, settings.max_seconds), settings.min_seconds)
        samples = _decode_audio(audio, start, seconds)
        check_loud(samples)
        times = [start + time for time in frame_times(seconds, settings.num_frames)]
        frames = _decode_frames(video, times, settings.frame_size)
        stream = cast("VideoStream", video.stream)
        rate = float(stream.average_rate or 0)
        return DecodedClip(frames, samples, seconds, rate, (stream.width, stream.height), start)


def check_length(seconds: float, min_seconds: float) -> float:
    """Return the length if it is enough.

    Raises:
        ClipError: The clip is too short.
    """
    if seconds < min_seconds:
        raise ClipError(
            f"too short: {max(seconds, 0):.2f} s of picture and sound together, "
            f"{min_seconds:g} s are wanted"
        )
    return seconds


def check_loud(samples: NDArray[np.int16]) -> None:
    """Refuse a clip without sound.

    Raises:
        ClipError: The loudest sample is below `SILENCE_PEAK`.
    """
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    if peak < SILENCE_PEAK:
        raise ClipError(f"silent: the loudest sample is {peak} of 32768")


def decode_sound(path: Path, max_seconds: float) -> NDArray[np.int16]:
    """Return the sound of an audio file, 16 kHz mono.

    Raises:
        ClipError: The file is missing, cannot be opened or holds no sound.
    """
    with open_media(path) as container:
        if not container.streams.audio:
            raise ClipError("no sound stream")
        audio = tracks(container, [container.streams.audio[0]], max_seconds)[0]
        return _decode_audio(audio, audio.start, min(audio.end - audio.start, max_seconds))


def stored_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the size a picture is reduced to; smaller ones stay as they are."""
    factor = min(1.0, short_side / min(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _decode_frames(track: Track, times: list[float], short_side: int) -> list[RGB]:
    frames: list[RGB] = []
    scaler = VideoReformatter()  # kept for the whole clip: setting one up costs more than a picture
    newest: av.VideoFrame | None = None
    for frame, time in _pictures(track, times):
        while newest is not None and len(frames) < len(times) and times[len(frames)] < time:
            frames.append(_to_rgb(newest, short_side, scaler))
        if len(frames) == len(times):
            return frames
        newest = frame
    if newest is None:
        raise ClipError("decode error: no picture could be decoded")
    return frames + [_to_rgb(newest, short_side, scaler)] * (len(times) - len(frames))


def _pictures(track: Track, times: list[float]) -> Iterator[tuple[av.VideoFrame, float]]:
    """Decode in order, leaving out pictures that no other needs and no time shows."""
    decoder = cast("VideoCodecContext", track.stream.codec_context)
    decoder.thread_count = 1  # the other cores decode other clips
    shown = _shown(track, times)
    for packet in [*track.packets, None]:
        if packet is not None and shown:
            decoder.skip_frame = "DEFAULT" if packet.pts in shown else "NONREF"
        for frame in decoder.decode(packet):
            stamp = frame.dts if frame.pts is None else frame.pts
            if stamp is None:
                raise ClipError("decode error: a picture without a time")
            yield frame, seconds_of(stamp, track.stream)


def _shown(track: Track, times: list[float]) -> set[int]:
    """Return the time stamps of the pictures shown at the times; none where they are not stored."""
    stamps = sorted(p.pts for p in track.packets if p.pts is not None and not p.is_discard)
    if len(stamps) < sum(not packet.is_discard for packet in track.packets):
        return set()
    starts = [seconds_of(stamp, track.stream) for stamp in stamps]
    return {stamps[max(0, bisect.bisect_right(starts, time) - 1)] for time in times}


def _to_rgb(frame: av.VideoFrame, short_side: int, scaler: VideoReformatter) -> RGB:
    if frame.is_corrupt:
        raise ClipError("decode error: a picture is damaged")
    width, height = stored_size(frame.width, frame.height, short_side)
    picture = scaler.reformat(frame, width, height, "rgb24", interpolation="BICUBIC", threads=1)
    return cast("RGB", picture.to_ndarray())


def _decode_audio(track: Track, start: float, seconds: float) -> NDArray[np.int16]:
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pieces: list[NDArray[np.int16]] = []
    first: float | None = None
    expected = 0.0
    for frame, time in _sounds(track):
        if first is None:
            first = expected = time
        if abs(time - expected) > AUDIO_GAP_SECONDS:
            raise ClipError(f"the sound has a hole at {expected - start:.1f} s")
        expected += frame.samples / frame.sample_rate
        pieces += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        if expected > start + seconds + AUDIO_GAP_SECONDS:
            break
    pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    skipped = max(0, round((start - (first or 0.0)) * SAMPLE_RATE))
    wanted = round(seconds * SAMPLE_RATE)
    samples = np.concatenate([*pieces, np.empty(0, np.int16)])[skipped : skipped + wanted]
    if wanted - len(samples) > MISSING_SECONDS * SAMPLE_RATE:
        raise ClipError(f"decode error: the sound ends at {len(samples) / SAMPLE_RATE:.1f} s")
    return samples


def _sounds(track: Track) -> Iterator[tuple[av.AudioFrame, float]]:
    decoder = cast("AudioCodecContext", track.stream.codec_context)
    for packet in [*track.packets, None]:
        for frame in decoder.decode(packet):
            if frame.pts is None or frame.time is None:
                raise ClipError("decode error: sound without a time")
            yield frame, frame.time
