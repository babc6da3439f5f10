"""The best checkpoint of a run, as `best.pt`, whatever its age.

`best.json` is written first and says what `best.pt` is to be; a process that dies in between leaves
that to the next save. The other way round the value of what lies in `best.pt` could be lost.
"""

import json
import logging
import math
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.training import checksum
from tgdp.training.retention import path_of, step_of

FILE = "best.pt"
RECORD = "best.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """What `best.json` says.

    Attributes:
        name: Of the measure.
        value: Of the measure; higher is better.
        step: Steps taken.
        sha256: Of the checkpoint.
    """

    name: str
    value: float
    step: int
    sha256: str


def save_best(folder: Path, path: Path, name: str, value: float) -> bool:
    """Keep a checkpoint as `best.pt` if it is better than the best so far; return whether it is.

    `best.pt` is a hard link where the file system has them, else a copy. Equal is not better, and
    NaN is never the best. The best by another measure is replaced, with a warning.

    Args:
        folder: The run's checkpoints.
        path: A checkpoint in it, named by its step.
        name: Of the measure, as `retrieval/vggsound/a2v/r1`.
        value: Of the measure; higher is better.

    Raises:
        UserError: The disk is full or not writable; the checkpoints and the best so far are whole.
    """
    finish(folder)
    so_far = read_best(folder)
    if so_far is not None and so_far.name != name:
        logger.warning("%s: the best by %s gives way to %s", folder / FILE, so_far.name, name)
        so_far = None
    if not value > (-math.inf if so_far is None else so_far.value):
        return False
    try:
        record = Best(name, value, step_of(path), _digest(path))
        write_whole(folder / RECORD, json.dumps(asdict(record)))
    except OSError as error:
        raise _failure(folder, error) from error
    finish(folder)
    return True


def read_best(folder: Path) -> Best | None:
    """Return what is known of `best.pt`; None where there is none, or nothing is known of it."""
    record = _read(folder)
    return record if record is not None and _is_in_place(folder, record) else None


def finish(folder: Path) -> None:
    """Make `best.pt` what `best.json` says, should a process have died between the two.

    Raises:
        UserError: The disk is full or not writable; the checkpoints and the best so far are whole.
    """
    record = _read(folder)
    if record is None or _is_in_place(folder, record):
        return
    path, temporary = path_of(folder, record.step), folder / f"{FILE}.tmp"
    try:
        if not path.exists() or _digest(path) != record.sha256:
            return
        # It may be a link to a checkpoint: opened for writing, that would be lost.
        temporary.unlink(missing_ok=True)
        _link_or_copy(path, temporary)
        checksum.put_in_place(temporary, folder / FILE, record.sha256)
    except OSError as error:
        raise _failure(folder, error) from error
    finally:
        # Renaming a link over another one of the same file leaves both.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:
        # Many file systems of clusters know no hard links; a full disk is met again here.
        with path.open("rb") as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())


def _is_in_place(folder: Path, record: Best) -> bool:
    path = folder / FILE
    return path.exists() and checksum.stored(path) in (None, [record.sha256])


def _digest(path: Path) -> str:
    known = checksum.stored(path)
    return known[0] if known else checksum.digest_of(path)


def _read(folder: Path) -> Best | None:
    try:
        return Best(**json.loads((folder / RECORD).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        logger.warning("%s: cannot be read (%s); the next best is taken", folder / RECORD, error)
        return None


def _failure(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"{folder / FILE}: cannot write the best checkpoint ({error.strerror}); the checkpoints "
        "and the best so far are whole: free space and start the same command again"
    )
