"""Processes that no request to stop reaches."""

import os
import signal
import threading

from tgdp.data.workers import REQUESTS, deaf_to_requests


def test_only_what_is_started_meanwhile_is_deaf() -> None:
    heard: list[int] = []
    former = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with deaf_to_requests():
            child = os.fork()
            if child == 0:
                blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
                os._exit(not {getattr(signal, name) for name in REQUESTS} <= blocked)
            # To this thread: another one, of a library, would take it and is not blocked.
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            assert heard == []
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, former)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
