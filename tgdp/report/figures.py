"""Finds the drawing that belongs to a sweep: `analysis/<sweep>.py`, else `analysis/rows.py`."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from tgdp.report.table import Table

PACKAGES = ("tgdp.bundled.analysis", "analysis")
"""Inside an installed package; at the top of the checkout."""

ANY_SWEEP = "rows"
"""The drawing of a sweep that has none of its own."""

PROBES = "probes"
"""The drawing of the probes that any sweep may have."""


def draw(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write the figure of a table as PNG and PDF, and a second one where its runs were probed.

    Args:
        table: What to draw.
        folder: Where the files go.
        stem: Name of the files.
    """
    own = drawing(table.sweep.name.replace("-", "_"))
    found = drawing(ANY_SWEEP) if own is None else own
    probes = drawing(PROBES)
    drawn: list[Path] = [] if found is None else found.draw(table, folder, stem)
    return drawn + ([] if probes is None else probes.draw(table, folder, f"{stem}-{PROBES}"))


def drawing(name: str) -> Any:
    """Return the module `analysis/<name>.py`, or None where there is none."""
    for package in PACKAGES:
        if _exists(f"{package}.{name}"):
            return importlib.import_module(f"{package}.{name}")
    return None


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # The package above it is absent.
        return False
