"""How much memory a piece of work takes for itself, mapped files not counted."""

import threading
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")
INTERVAL_S = 0.002


def peak_extra_bytes(work: Callable[[], object]) -> int | None:
    """Return by how much the anonymous memory of this process grew at most while work was done.

    It is looked at every two milliseconds: what lives for less may be missed.

    Args:
        work: Done once.

    Returns:
        Bytes; None where the system does not tell (anything but Linux).
    """
    before = _anonymous()
    if before is None:
        work()
        return None
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(INTERVAL_S):
            peak = max(peak, _anonymous() or 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return peak - before


def _anonymous() -> int | None:
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    line = next((line for line in lines if line.startswith("RssAnon:")), None)
    return int(line.split()[1]) * 1024 if line else None
