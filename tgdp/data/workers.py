"""Loader processes that leave it to their parent to stop."""

import signal
from collections.abc import Generator
from contextlib import contextmanager

REQUESTS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2")
"""Ctrl-C, a polite kill, a closed terminal, and what a cluster sends before it takes a node."""


@contextmanager
def deaf_to_requests() -> Generator[None, None, None]:
    """Start processes that no request to stop reaches; here it comes through afterwards.

    Ctrl-C, torchrun and SLURM send it to every process of a group. A loader process that ended then
    would take the step with it that its parent was to finish first. It ends when its parent says
    so, and by itself when its parent is gone.
    """
    numbers = {getattr(signal, name) for name in REQUESTS if hasattr(signal, name)}
    # A blocked signal stays blocked in what is forked or started meanwhile.
    former = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
