"""Pictures of one run: drawn, kept in its directory whole or not at all, brought into the store."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tgdp.errors import UserError
from tgdp.evaluation.find import results_of
from tgdp.evaluation.gallery import Gallery
from tgdp.evaluation.picture_arrays import Priorities, Reconstructions
from tgdp.report import figures
from tgdp.sweep import track
from tgdp.training.run_directory import RunDirectory

Kind = Literal["reconstructions", "priorities", "gallery"]

FOLDER = "pictures"
"""In a run's directory; an import takes the PNG files of it along."""

DRAWABLE = 12
"""Most rows of one picture: more would make a sheet that no viewer opens."""


@dataclass(frozen=True)
class Kept:
    """What became of a picture.

    Attributes:
        file: The PNG file.
        store: Where the tracking store is; None where the picture is not in it.
        problem: Why it is not in the store, if it was meant to be.
    """

    file: Path
    store: str | None = None
    problem: str = ""


def draw(kind: Kind, arrays: Reconstructions | Priorities | Gallery) -> bytes:
    """Return the picture as a PNG file.

    Args:
        kind: Which drawing; `analysis/<kind>.py` makes it.
        arrays: What to draw.

    Raises:
        UserError: It would have too many rows.
    """
    rows = len(arrays.queries if isinstance(arrays, Gallery) else arrays.clips)
    if rows > DRAWABLE:
        raise UserError(
            f"{rows} rows are more than fit into one picture ({DRAWABLE}); "
            "choose fewer with --clips or --ids"
        )
    return figures.drawing(kind).draw(arrays)


def keep(run: RunDirectory, results: Path, kind: Kind, png: bytes) -> Kept:
    """Write a picture into a run's directory and bring the run into the tracking store.

    Args:
        run: The run.
        results: The results folder, where the run lies in none.
        kind: Names the file.
        png: The file's content.

    Raises:
        UserError: The file cannot be written. A store that cannot be reached is no error: the
            picture is in the run directory, and the next sync brings it.
    """
    file = run.path / FOLDER / f"{kind}.png"
    write(file, png)
    return bring(run, results, file)


def bring(run: RunDirectory, results: Path, file: Path) -> Kept:
    """Bring a run with all of its pictures into the tracking store.

    Args:
        run: The run.
        results: The results folder, where the run lies in none.
        file: The picture that is asked about.
    """
    try:
        report = track.sync(results_of(run, results), [run.path])
    except UserError as error:
        return Kept(file, problem=str(error))
    if report.skipped:
        return Kept(file, problem="; ".join(report.skipped))
    return Kept(file, report.uri)


def write(file: Path, content: bytes) -> None:
    """Write a picture or a page so that a viewer sees all of it or what was there before.

    The same picture again leaves the file as it is, so that nothing has to be imported anew.

    Raises:
        UserError: The file cannot be written.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        if file.is_file() and file.read_bytes() == content:
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError as error:
        raise UserError(f"{file}: cannot write the picture ({error.strerror})") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
