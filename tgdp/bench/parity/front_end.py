"""What the released loader and the released retrieval script compute: no model takes part."""

import numpy as np
import torch
from torch import Tensor

from tgdp.bench.parity.checks import Check, values
from tgdp.bench.parity.difference import Difference, of_entries, of_values
from tgdp.bench.parity.figures import Array
from tgdp.bench.parity.replay import Replay
from tgdp.data.log_mel import log_mel
from tgdp.data.timing import frame_times, segment_starts
from tgdp.evaluation.retrieval import RECALLS, diagonal_mean, retrieve

CLIP_SECONDS = 10.0
FEATURES = ("retrieval/audio", "retrieval/image")
DIRECTIONS = {"a2v": "audio_to_image", "v2a": "image_to_audio"}
SEGMENTS = "segments/start_end"


def front_end_checks() -> list[Check]:
    """Return the checks of retrieval, spectrogram and segments."""
    return [
        values("retrieval similarity", "retrieval/similarity", _similarity, FEATURES),
        *(_metrics(direction, part) for direction in DIRECTIONS for part in ("recalls", "median")),
        values("log-mel", "fbank/log_mel", _log_mel, ("fbank/waveform_16k",)),
        Check("segment windows", SEGMENTS, _windows),
    ]


def _unit(replay: Replay) -> list[Array]:
    features = (np.asarray(replay.figures[key], dtype=np.float32) for key in FEATURES)
    return [part / np.linalg.norm(part, axis=-1, keepdims=True) for part in features]


def _similarity(replay: Replay) -> Tensor:
    return torch.from_numpy(diagonal_mean(*_unit(replay)))


def _metrics(direction: str, part: str) -> Check:
    """Return the check of the recalls or of the median rank, which is on another scale."""
    key = f"retrieval/{DIRECTIONS[direction]}"
    end = len(RECALLS)
    wanted = slice(0, end) if part == "recalls" else slice(end, end + 1)
    names = [f"r{k}" for k in RECALLS] + ["median_rank"]
    title = ", ".join(f"R@{k}" for k in RECALLS) if part == "recalls" else "median rank"

    def measure(replay: Replay) -> Difference:
        audio, image = _unit(replay)
        metrics = retrieve(audio, image, [str(number) for number in range(len(audio))])
        ours = np.array([metrics[f"{direction}/{name}"] for name in names[wanted]])
        theirs = replay.figures[key][wanted]
        # A recall is a count of clips: only float32 stands between equal ones.
        return of_values(ours.astype(theirs.dtype), theirs)

    return Check(f"{title}, {DIRECTIONS[direction].replace('_', ' ')}", key, measure, FEATURES)


def _log_mel(replay: Replay) -> Tensor:
    waveform = replay.tensor("fbank/waveform_16k")
    return log_mel((waveform - waveform.mean())[None])[0]


def _windows(replay: Replay) -> Difference:
    theirs = replay.figures[SEGMENTS]
    length = int(theirs[0, 1] - theirs[0, 0])
    steps = round(CLIP_SECONDS * 100) - 2  # whole windows in ten seconds; 'upstream' ignores it
    starts = segment_starts(frame_times(CLIP_SECONDS, len(theirs)), steps, length, "upstream")
    return of_entries(np.array([[start, start + length] for start in starts]), theirs)
