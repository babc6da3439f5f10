"""Processes that outlive the command that started them, and are known again for certain.

A number alone does not do: it may be another process's by now. So the time of the start and the
command line are kept beside it, and signals go through a descriptor that cannot change its process.
"""

import json
import os
import select
import signal
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

POLL_S = 0.05

START_PATIENCE_S = 2


@dataclass(frozen=True)
class Identity:
    """Which process it is.

    Args:
        pid: Its number.
        started: When it started, in clock ticks since the machine did.
        command: Its command line.
    """

    pid: int
    started: int
    command: tuple[str, ...]


def start(command: Sequence[str], environment: Mapping[str, str], record: Path, log: Path) -> None:
    """Start a process in a session of its own and write down which it is.

    Args:
        command: The program's path and its arguments.
        environment: All of its environment.
        record: The file that `living` and `stop` read later.
        log: Where its output is added.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        # A shell without job control has its children ignore it.
        setsigdef=[signal.SIGINT, signal.SIGQUIT, signal.SIGHUP],
    )
    # For a moment after the start a process has no command line yet.
    wait_until(lambda: _runs(pid, command), START_PATIENCE_S)
    identity = identify(pid)
    if identity is not None:
        record.write_text(json.dumps(asdict(identity)) + "\n", encoding="utf-8")


def living(record: Path) -> int | None:
    """Return the number of the process that a file names, None if that one is gone."""
    with _opened(record) as held:
        return held[0] if held else None


def stop(record: Path, patience_s: float) -> bool:
    """End the process that a file names, and nothing else; the file goes too.

    Args:
        record: The file that `start` wrote; it need not be there.
        patience_s: How long it may take to end by itself, in seconds, before it is killed.

    Returns:
        Whether there was one.
    """
    with _opened(record) as held:
        if held:
            for number, patience in ((signal.SIGTERM, patience_s), (signal.SIGKILL, None)):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(held[1], number)
                if _ended(held[1], patience):
                    break
    record.unlink(missing_ok=True)
    return bool(held)


def kill(identity: Identity) -> None:
    """Kill a process, unless its number is another's by now."""
    with _opened_as(identity) as held:
        if held:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(held[1], signal.SIGKILL)
            _ended(held[1], None)


def identify(pid: int) -> Identity | None:
    """Return which process has a number; None if none has, or one that has ended."""
    folder = Path(f"/proc/{pid}")
    try:
        # The name, in brackets, may hold anything, brackets too.
        fields = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        line = (folder / "cmdline").read_bytes()
    except OSError:
        return None
    state, *rest = fields.rpartition(")")[2].split()
    words = line.decode(errors="surrogateescape").rstrip("\0").split("\0")
    return None if state == "Z" else Identity(pid, int(rest[18]), tuple(words))


def wait_until(done: Callable[[], bool], patience_s: float) -> bool:
    """Return True as soon as something holds, False if it does not for so many seconds."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _runs(pid: int, command: Sequence[str]) -> bool:
    """Return whether a process has its command line, or is gone."""
    identity = identify(pid)
    return identity is None or identity.command == tuple(command)


@contextmanager
def _opened(record: Path) -> Generator[tuple[int, int] | None, None, None]:
    try:
        fields = json.loads(record.read_text(encoding="utf-8"))
        identity = Identity(fields["pid"], fields["started"], tuple(fields["command"]))
    except (OSError, ValueError, KeyError, TypeError):
        yield None
        return
    with _opened_as(identity) as held:
        yield held


@contextmanager
def _opened_as(identity: Identity) -> Generator[tuple[int, int] | None, None, None]:
    """Hold on to a process: its number and a descriptor that is never another's."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        yield None
        return
    try:
        # Looked at only now: what the descriptor was opened for is what is looked at.
        yield (identity.pid, descriptor) if identify(identity.pid) == identity else None
    finally:
        os.close(descriptor)


def _ended(descriptor: int, patience_s: float | None) -> bool:
    ready, _, _ = select.select([descriptor], [], [], patience_s)
    return bool(ready)
