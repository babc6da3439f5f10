"""Pictures and sound -> an H.264 + AAC file, the same bytes every time."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

SAMPLES_AT_ONCE = 1024


def write_video(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    sound: NDArray[np.int16],
    *,
    fps: int,
    sample_rate: int,
) -> None:
    """Write a clip by temporary file and rename.

    Args:
        path: File to write, `.mp4`.
        frames: (H, W, 3) RGB, sides even.
        sound: Mono samples.
        fps: Pictures a second.
        sample_rate: Samples a second.

    Raises:
        OSError: The disk is full or not writable.
    """
    # The name keeps its suffix, because the container format is chosen by it.
    temporary = path.with_name(f".{path.name}.tmp.mp4")
    try:
        with av.open(temporary, "w", options={"fflags": "+bitexact"}) as container:
            # One thread, because the output depends on how the work is divided; no macroblock
            # tree, because x264 was seen to give other bytes for the same clip with it.
            options = {"preset": "veryfast", "crf": "20", "threads": "1", "x264-params": "mbtree=0"}
            pictures = container.add_stream("libx264", rate=fps, options=options)
            pictures.pix_fmt = "yuv420p"
            samples = container.add_stream(
                "aac", rate=sample_rate, layout="mono", options={"aac_coder": "fast"}
            )
            samples.bit_rate = 64_000
            _write_pictures(container, pictures, frames, fps)
            _write_sound(container, samples, sound, sample_rate)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_pictures(
    container: OutputContainer,
    stream: VideoStream,
    frames: Iterable[NDArray[np.uint8]],
    fps: int,
) -> None:
    for number, pixels in enumerate(frames):
        if number == 0:
            stream.height, stream.width = pixels.shape[:2]
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, fps)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_sound(
    container: OutputContainer, stream: AudioStream, sound: NDArray[np.int16], sample_rate: int
) -> None:
    for start in range(0, len(sound), SAMPLES_AT_ONCE):
        chunk = sound[None, start : start + SAMPLES_AT_ONCE]
        frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="mono")
        frame.sample_rate, frame.pts = sample_rate, start
        frame.time_base = Fraction(1, sample_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
