"""How every figure of the project looks."""

import io
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
"""Told apart by all common kinds of colour blindness (Okabe and Ito)."""

DPI = 150

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # Type 3 fonts are refused by many publishers.
}


@contextmanager
def styled() -> Generator[None]:
    """Apply the style to what is drawn inside."""
    with matplotlib.rc_context(STYLE):
        yield


def figure(width: float, height: float) -> Figure:
    """Return an empty figure, in inches, that belongs to no window system."""
    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made: Figure, folder: Path, stem: str) -> list[Path]:
    """Write the figure as PNG and PDF, the same bytes for the same figure."""
    folder.mkdir(parents=True, exist_ok=True)
    png, pdf = folder / f"{stem}.png", folder / f"{stem}.pdf"
    made.savefig(png, dpi=DPI)
    made.savefig(pdf, metadata={"CreationDate": None})
    return [png, pdf]


def png(made: Figure) -> bytes:
    """Return the figure as a PNG file, the same bytes for the same figure."""
    held = io.BytesIO()
    made.savefig(held, dpi=DPI, format="png")
    return held.getvalue()
