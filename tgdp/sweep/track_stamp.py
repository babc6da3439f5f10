"""A digest of what an import reads of a run, by which it is known whether anything has changed."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tgdp.training.run_directory import RunDirectory

IMPORT_VERSION = 1
"""Raised when the importer changes what it writes, so that unchanged runs are imported again."""

PICTURES = "pictures/*.png"
"""Pictures in a run's directory; they have the same folder among its artifacts."""


def stamp_of(directory: RunDirectory, *, whole: bool = True) -> str:
    """Return a digest that changes whenever a file of the run or its state does.

    Args:
        directory: The run directory.
        whole: Whether pictures and evaluations are in it.
    """
    parts: list[Any] = [IMPORT_VERSION, directory.status().state]
    d = directory
    files = (d.config_file, d.events_file, d.status_file, d.result_file, d.environment_file)
    parts += [_version(file) for file in files]
    if whole:
        # A run without these keeps the stamp that it had before there were any.
        more = (*sorted(d.path.glob(PICTURES)), *sorted(d.evaluations.glob("*.json")))
        parts += [(file.name, *_version(file)) for file in more]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _version(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except FileNotFoundError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)
