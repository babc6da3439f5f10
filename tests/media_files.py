"""Small media files with known content: a colour for each moment, a tone of known pitch."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

TICKS = 1000
"""Time stamps are milliseconds, so that any frame time can be asked for."""

Colour = tuple[int, int, int]


def grey_ramp(seconds: float) -> Colour:
    """A grey that tells the time: 50 steps a second, up to 4 s."""
    level = 20 + round(seconds * 50)
    return (level, level, level)


@dataclass
class Media:
    """What a file shall hold; `None` leaves a stream out."""

    times: Sequence[float] | None = field(default_factory=lambda: [i / 10 for i in range(30)])
    size: tuple[int, int] = (64, 48)
    colour: Callable[[float], Colour] = grey_ramp
    codec: str = "libx264"
    hertz: float | None = 440.0
    loudness: float = 0.5
    sound_seconds: float = 3.0
    sound_start: float = 0.0
    rate: int = 44_100
    layout: str = "stereo"

    def write(self, path: Path) -> Path:
        """Write the file and return its path."""
        with av.open(str(path), "w") as out:
            # A header lists every stream, so all are there before the first packet.
            packets: list[Iterator[av.Packet]] = []
            if self.times is not None:
                packets.append(self._pictures(self._picture_stream(out), self.times))
            if self.hertz is not None:
                stream = out.add_stream("aac", rate=self.rate, layout=self.layout)
                packets.append(self._sound(stream, self.hertz))
            for packet in itertools.chain(*packets):
                out.mux(packet)
        return path

    def _picture_stream(self, out: OutputContainer) -> VideoStream:
        stream = out.add_stream(self.codec, rate=TICKS, options={"crf": "10", "g": "12"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.thread_count = 1
        return stream

    def _pictures(self, stream: VideoStream, times: Sequence[float]) -> Iterator[av.Packet]:
        for time in times:
            pixels = np.full((self.size[1], self.size[0], 3), self.colour(time), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            yield from stream.encode(frame)
        yield from stream.encode(None)

    def _sound(self, stream: AudioStream, hertz: float) -> Iterator[av.Packet]:
        t = np.arange(round(self.sound_seconds * self.rate)) / self.rate
        tone = (self.loudness * np.sin(2 * np.pi * hertz * t)).astype(np.float32)
        channels = len(av.AudioLayout(self.layout).channels)
        for begin in range(0, len(tone), 1024):
            piece = np.ascontiguousarray(np.tile(tone[begin : begin + 1024], (channels, 1)))
            frame = av.AudioFrame.from_ndarray(piece, "fltp", self.layout)
            frame.sample_rate = self.rate
            frame.pts = begin + round(self.sound_start * self.rate)
            frame.time_base = Fraction(1, self.rate)
            yield from stream.encode(frame)
        yield from stream.encode(None)
