"""A request to stop, made by a signal: it sets a flag, and the work ends at its next safe point."""

import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tgdp.data.workers import REQUESTS


class StopRequest:
    """Counts the signals that asked this process to stop.

    Attributes:
        count: Signals received so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self.outer: StopRequest | None = None

    def __call__(self) -> bool:
        """Return whether anybody asked to stop."""
        return self.count > 0

    def receive(self, number: int, frame: FrameType | None = None) -> None:
        """Take note of a signal.

        Raises:
            KeyboardInterrupt: It is a second Ctrl-C: somebody does not want to wait.
        """
        del frame
        self.count += 1
        if self.outer is not None:
            self.outer.count = self.count
        if number == signal.SIGINT and self.count > 1:
            raise KeyboardInterrupt


@contextmanager
def stop_on_signals(stop: StopRequest) -> Generator[StopRequest, None, None]:
    """Let the usual signals set the flag, and put the former handlers back at the end.

    Outside the main thread Python allows no handlers, and the flag stays down.
    """
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = [getattr(signal, name) for name in REQUESTS if hasattr(signal, name)]
    # What is ignored stays ignored: `nohup` means that a closed terminal is no reason to stop.
    numbers = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    former = {number: signal.signal(number, stop.receive) for number in numbers}
    # A job that runs inside the sweep's own process passes on what it hears.
    stop.outer = next(filter(None, map(_owner, former.values())), None)
    try:
        yield stop
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _owner(handler: object) -> StopRequest | None:
    owner = getattr(handler, "__self__", None)
    return owner if isinstance(owner, StopRequest) else None


def is_alive(pid: int) -> bool:
    """Return whether a process of this host is at work; one that was killed no longer is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        # No such folder on this system, or it ended just now: the next look says so.
        return True
    # It keeps its number until it is waited for, in a container without an init perhaps for ever.
    return not text.rpartition(")")[2].lstrip().startswith("Z")
