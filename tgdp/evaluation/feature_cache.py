"""What lies in the feature cache, and how it is thrown away."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from filelock import Timeout

from tgdp.errors import UserError, unknown_name
from tgdp.evaluation.feature_files import writing
from tgdp.evaluation.feature_store import META, is_marked, lock_of


class Listed(NamedTuple):
    """An entry as it lies on the disk.

    Attributes:
        key: Name of its folder.
        facts: What its features depend on; empty where that cannot be read.
        num_bytes: Of all its files.
        is_done: Whether it is complete.
    """

    key: str
    facts: dict[str, Any]
    num_bytes: int
    is_done: bool


def cache_root(results: Path) -> Path:
    """Return the folder of the features of a results folder."""
    return results / "features"


def list_entries(root: Path) -> list[Listed]:
    """Return every entry, by name; none where there is no cache yet."""
    if not root.is_dir():
        return []
    return [_listed(folder) for folder in sorted(root.iterdir()) if folder.is_dir()]


def remove_entry(root: Path, key: str) -> int:
    """Throw an entry away and return the bytes that are free now.

    Args:
        root: The cache.
        key: Its name.

    Raises:
        UserError: There is no such entry, a process writes it, or it cannot be removed.
    """
    found = {entry.key: entry for entry in list_entries(root)}
    if key not in found:
        raise unknown_name("features", key, found)
    with writing(root / key):
        lock = lock_of(root / key)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{root / key}: a process computes these features now") from None
        try:
            shutil.rmtree(root / key)
        finally:
            lock.release()
    return found[key].num_bytes


def _listed(folder: Path) -> Listed:
    try:
        facts = json.loads((folder / META).read_text(encoding="utf-8"))
        is_done = is_marked(folder, facts["shape"][0])
    except (OSError, ValueError, LookupError, TypeError):
        facts, is_done = {}, False
    num_bytes = sum(file.stat().st_size for file in folder.iterdir())
    return Listed(folder.name, facts, num_bytes, is_done)
