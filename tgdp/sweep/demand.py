"""What training asks of its loader: bytes to read and pictures to decode, without numpy."""

import ast
import struct
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

from tgdp.config import DataConfig
from tgdp.data.card import SAMPLE_RATE, read_card
from tgdp.data.timing import STEPS_PER_SECOND
from tgdp.errors import UserError

PAIR_SECONDS = 3.0e-3
"""Of one core for a training pair: 256 reduced to 224 and 4.16 s, from FLAC.

Source: docs/data.md, measured on one core of a shared x86 machine, November 2026. The front end is
not in it: it runs on the training's device.
"""

LOOKED_AT = 1000
"""Clips whose sizes are read: enough for a mean, and few enough for a plan."""

BYTES_A_SAMPLE = 2

DAMAGED = (LookupError, ValueError, SyntaxError, struct.error, zipfile.BadZipFile)
"""What reading a broken index raises."""


class Stored(NamedTuple):
    """Mean sizes of a prepared clip, and of how many.

    Attributes:
        frame: Bytes of one JPEG picture.
        sound: Bytes of the whole sound.
        clips: Clips that were looked at.
    """

    frame: float
    sound: float
    clips: int


TYPICAL = Stored(29_401.0, 209_277.0, 14)
"""Of real clips of 10 s from VGGSound, VAS and AudioSet, as `tgdp-data prepare` stores them: short
side 256 at most, FLAC. Measured 2026-11-26."""


def bytes_of_pair(stored: Stored, audio: str, data: DataConfig) -> float:
    """Return the bytes that a loader reads for one training pair: one picture and its sound.

    FLAC is read whole whatever the segment; of WAV the segment alone.

    Args:
        stored: Mean sizes.
        audio: `flac` or `wav`.
        data: How long a segment is.
    """
    if audio != "wav":
        return stored.frame + stored.sound
    segment = BYTES_A_SAMPLE * SAMPLE_RATE * data.audio_steps / STEPS_PER_SECOND
    return stored.frame + min(stored.sound, segment)


def stored_sizes(folder: Path) -> Stored | None:
    """Return the mean sizes of the first clips of a prepared folder; None if it has no index.

    Raises:
        UserError: The index is damaged.
    """
    file, num_frames = folder / "index.npz", read_card(folder).num_frames
    try:
        with zipfile.ZipFile(file) as index, index.open("size.npy") as sizes:
            rows = _first_rows(sizes, num_frames + 1)
    except FileNotFoundError:
        return None
    except (
        OSError,
        LookupError,
        ValueError,
        SyntaxError,
        struct.error,
        zipfile.BadZipFile,
    ) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    if not rows:
        return None
    frames = sum(sum(row[:num_frames]) for row in rows) / num_frames
    sounds = sum(row[num_frames] for row in rows)
    return Stored(frames / len(rows), sounds / len(rows), len(rows))


def _first_rows(file: IO[bytes], least: int) -> list[tuple[int, ...]]:
    """Return the first rows, no shorter than `least`, of a NumPy file of 32-bit integers.

    Source: the format of .npy files, versions 1 to 3, in NumPy's documentation.
    """
    before = file.read(8)
    if before[:6] != b"\x93NUMPY":
        raise ValueError("size is no NumPy array")
    length = int.from_bytes(file.read(2 if before[6] == 1 else 4), "little")
    header = ast.literal_eval(file.read(length).decode())
    if header["descr"] != "<i4" or header["fortran_order"] or len(header["shape"]) != 2:
        raise ValueError(f"size is {header['descr']} {header['shape']}, not rows of <i4")
    number, width = header["shape"]
    if width < least:
        raise ValueError(f"size has {width} numbers a clip, not {least} or more")
    row = struct.Struct(f"<{width}i")
    return list(row.iter_unpack(file.read(row.size * min(number, LOOKED_AT))))
