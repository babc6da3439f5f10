"""Where frames and spectrogram segments lie in time. One step of the spectrogram is 10 ms."""

from collections.abc import Sequence
from typing import Literal

STEPS_PER_SECOND = 100


def frame_times(seconds: float, num_frames: int) -> list[float]:
    """Return the centres of equal parts of a clip, in seconds: where its frames are taken.

    Args:
        seconds: Length of the stretch that has both picture and sound.
        num_frames: Frames a clip.

    Source: ours.
    """
    return [(i + 0.5) * seconds / num_frames for i in range(num_frames)]


def segment_starts(
    times: Sequence[float],
    num_steps: int,
    segment_steps: int,
    timing: Literal["clip", "upstream"],
    clip_steps: int = 1024,
) -> list[int]:
    """Return the first step of the segment that goes with each frame.

    A clip shorter than a segment has all its segments start at 0; what lies beyond it is padding.

    Args:
        times: When each frame was shown, seconds from the start of the clip.
        num_steps: Steps of the clip's spectrogram ('clip').
        segment_steps: Steps of a segment.
        timing: 'clip': centred where the frame was shown. 'upstream': centred on equal parts of
            `clip_steps`, whatever the clip's length, as the released loader does.
        clip_steps: Steps that a clip is cut or padded to ('upstream').

    Source: 'upstream': released code, 16 frames, 416 of 1024 steps. 'clip': ours.
    """
    if timing == "upstream":
        centres = [round(i * clip_steps / len(times)) for i in range(len(times))]
        last = clip_steps - segment_steps
    else:
        centres = [round(time * STEPS_PER_SECOND) for time in times]
        last = num_steps - segment_steps
    return [min(max(0, centre - segment_steps // 2), max(0, last)) for centre in centres]
