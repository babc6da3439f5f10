"""A pool of processes whose results come back in order, and which outlives a crash of any of them.

A decoder that takes its process down (libav is C) costs one clip and not the whole preparation;
the standard pools break for good. Workers leave by themselves when their parent is gone.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerDiedError(Exception):
    """The process that worked on an item is gone."""


@dataclass
class _Worker(Generic[Item]):
    process: Any
    pipe: Connection
    number: int = -1


class OrderedPool(Generic[Item, Result]):
    """Applies a function to items in worker processes.

    Args:
        function: Importable by name; what it raises is raised in the parent.
        workers: Number of processes.
    """

    def __init__(self, function: Callable[[Item], Result], workers: int) -> None:
        self.function = function
        self.workers = workers
        self._context = multiprocessing.get_context("spawn")
        self._pool: list[_Worker[Item]] = []

    def results(self, items: Sequence[Item]) -> Iterator[Result | WorkerDiedError]:
        """Yield the result of each item in the order of the items."""
        done: dict[int, Result | WorkerDiedError] = {}
        given = 0
        for number in range(len(items)):
            while number not in done:
                # A slow clip must not let finished ones pile up in memory behind it.
                ahead = min(len(items), number + 8 * self.workers)
                given = self._hand_out(items, given, ahead)
                done.update(self._collect())
            yield done.pop(number)

    def stop(self) -> None:
        """End the workers, whatever they are doing."""
        for worker in self._pool:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        self._pool.clear()

    def _hand_out(self, items: Sequence[Item], given: int, ahead: int) -> int:
        while given < ahead:
            idle = next((w for w in self._pool if w.number < 0), None)
            if idle is None and len(self._pool) >= self.workers:
                break
            worker = idle or self._start()
            worker.number = given
            # A worker that is gone is noticed, and told of, where its answer is waited for.
            with contextlib.suppress(BrokenPipeError):
                worker.pipe.send(items[given])
            given += 1
        return given

    def _collect(self) -> Iterator[tuple[int, Result | WorkerDiedError]]:
        busy = {worker.pipe: worker for worker in self._pool if worker.number >= 0}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            number, worker.number = worker.number, -1
            try:
                result, error = worker.pipe.recv()
            except (EOFError, ConnectionResetError):
                worker.process.join()
                self._pool.remove(worker)
                yield number, WorkerDiedError(f"exit code {worker.process.exitcode}")
                continue
            if error is not None:
                raise error
            yield number, result

    def _start(self) -> "_Worker[Item]":
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(theirs, self.function), daemon=True, name="tgdp-data worker"
        )
        # Started with the first child, it would lift the block below before that child is there.
        resource_tracker.ensure_running()
        # Ctrl-C reaches the whole group; the parent alone decides. A blocked signal stays blocked
        # in the child, which would otherwise print a traceback while it is still starting.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()
        worker: _Worker[Item] = _Worker(process, ours)
        self._pool.append(worker)
        return worker


def _work(pipe: Connection, function: Callable[[Any], Any]) -> None:
    while True:
        try:
            item = pipe.recv()
        except EOFError:
            return
        try:
            answer = function(item), None
        except Exception as error:
            answer = None, error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
