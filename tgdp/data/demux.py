"""Opening media files and reading their packets: what there is, before anything is decoded."""

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.video.stream import VideoStream

MISSING_SECONDS = 0.5
"""A file that ends so much before the length it states was cut off."""
LOOK_AHEAD_SECONDS = 2.0
"""Read beyond the wanted stretch: the other stream may start later, pictures come out of order."""

Stream = VideoStream | AudioStream


class ClipError(Exception):
    """A clip that cannot become a sample; the message is the reason, in plain words."""


@dataclass(frozen=True)
class Track:
    """The packets of one stream, in decoding order, and the stretch of time they cover."""

    stream: Stream
    packets: list[av.Packet]
    start: float
    end: float


@contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a media file; whatever PyAV refuses becomes a `ClipError`.

    Raises:
        ClipError: The file is missing, cannot be opened or cannot be decoded.
    """
    if not path.is_file():
        raise ClipError("file missing")
    # What libav prints about a file is of no use without the file's name; the reason is kept.
    av.logging.set_level(av.logging.PANIC)
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise ClipError(f"cannot be opened: {_words(error)}") from error
    with container:
        try:
            yield container
        except (av.error.FFmpegError, ValueError) as error:
            raise ClipError(f"decode error: {_words(error)}") from error


def demux(container: InputContainer, max_seconds: float) -> list[Track]:
    """Return the first picture track and the first sound track.

    Raises:
        ClipError: There is no picture or no sound, or the file is cut off.
    """
    if not container.streams.video:
        raise ClipError("no picture stream")
    if not container.streams.audio:
        raise ClipError("no sound stream")
    streams: list[Stream] = [container.streams.video[0], container.streams.audio[0]]
    return tracks(container, streams, max_seconds)


def tracks(container: InputContainer, streams: list[Stream], max_seconds: float) -> list[Track]:
    """Read the packets of the first `max_seconds` of all streams, however they are interleaved."""
    packets: dict[int, list[av.Packet]] = {stream.index: [] for stream in streams}
    limits: dict[int, float] = {}
    unfinished = set(packets)
    for packet in container.demux(*streams):
        stamp = _stamp(packet)
        if stamp is None:
            continue
        index = packet.stream_index
        time = seconds_of(stamp, packet)
        if index not in limits and not packet.is_discard:
            limits[index] = time + max_seconds + LOOK_AHEAD_SECONDS
        if time > limits.get(index, time):
            unfinished.discard(index)
        else:
            packets[index].append(packet)
        if not unfinished:
            break
    return [_track(s, packets[s.index], whole=s.index in unfinished) for s in streams]


def _track(stream: Stream, packets: list[av.Packet], *, whole: bool) -> Track:
    """Measure a stream by its packets: what a header states may be wrong.

    Args:
        stream: The stream.
        packets: Its packets in decoding order.
        whole: Whether the file was read to its end.
    """
    spans: list[tuple[float, float]] = []
    for packet in packets:
        stamp = _stamp(packet)
        # An edit list has the decoder run over packets that are not to be shown.
        if stamp is not None and not packet.is_discard:
            spans.append((seconds_of(stamp, packet), seconds_of(packet.duration or 0, packet)))
    if not spans:
        raise ClipError(f"the {stream.type} stream is empty")
    start, end = min(spans)[0], max(begin + length for begin, length in spans)
    if stream.start_time is not None:
        start = max(start, seconds_of(stream.start_time, stream))
    stated = start + seconds_of(stream.duration or 0, stream)
    # Matroska does not store how long the last picture stays; at 1 frame/s that is a second.
    end = max(end, min(stated, max(spans)[0] + _longest_gap(begin for begin, _ in spans)))
    if whole and end < stated - MISSING_SECONDS:
        raise ClipError(f"cut off: {stream.type} ends at {end:.1f} s of {stated:.1f} s")
    return Track(stream, packets, start, end)


def _longest_gap(starts: Iterable[float]) -> float:
    ordered = sorted(starts)
    return max((b - a for a, b in itertools.pairwise(ordered)), default=0.0)


def _stamp(packet: av.Packet) -> int | None:
    return packet.dts if packet.pts is None else packet.pts


def seconds_of(stamp: int, of: av.Packet | Stream) -> float:
    """Return a time stamp in seconds; always by the same arithmetic, so that times compare."""
    base = of.time_base
    if base is None:
        raise ClipError("decode error: a stream without a time base")
    return stamp * base.numerator / base.denominator


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
