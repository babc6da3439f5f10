"""What jobs leave to read: the tracebacks of a run, and what its process printed."""

import time
import traceback
from pathlib import Path

from tgdp.training.run_directory import RunDirectory

ERROR_FILE = "error.txt"


def keep_traceback(run: RunDirectory) -> None:
    """Append the traceback of the exception being handled to the run's error file."""
    run.log.mkdir(parents=True, exist_ok=True)
    with (run.log / ERROR_FILE).open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{traceback.format_exc()}\n")


def error_size(run: RunDirectory) -> int:
    """Return the bytes in a run's error file."""
    path = run.log / ERROR_FILE
    return path.stat().st_size if path.exists() else 0


def tracebacks_since(run: RunDirectory, size: int) -> str:
    """Return what was added to a run's error file since it had that size."""
    if error_size(run) <= size:
        return ""
    with (run.log / ERROR_FILE).open("rb") as file:
        file.seek(size)
        return file.read().decode("utf-8", errors="replace").strip()


def error_since(run: RunDirectory, size: int) -> str:
    """Return the last line of the newest traceback; empty if none came since it had that size."""
    lines = tracebacks_since(run, size).splitlines()
    return lines[-1] if lines else ""


def log_path(run: RunDirectory) -> Path:
    """Return the file that says most about why a run ended: its tracebacks, or what it printed."""
    error = run.log / ERROR_FILE
    printed = sorted(run.log.glob("*/*_log.err"), key=lambda path: path.stat().st_mtime)
    if printed and not error.exists():
        return printed[-1]
    return error if error.exists() else run.log


def last_words(run: RunDirectory) -> str:
    """Return the last line that the newest process of a run printed."""
    printed = sorted(run.log.glob("*/*_log.err"), key=lambda path: path.stat().st_mtime)
    text = printed[-1].read_text(encoding="utf-8", errors="replace") if printed else ""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
