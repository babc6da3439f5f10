"""What the processes of the feature tests do: fill a cache, some of them until they are killed."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import Config, override
from tgdp.data.clips import ClipDataset
from tgdp.evaluation.feature_request import FeatureRequest, request_of
from tgdp.evaluation.features import extract
from tgdp.evaluation.sanity import untrained
from tgdp.model.encoder import Encoder
from tgdp.training.ranks import Meeting, Ranks, open_group

SMALL = {
    **SMALL_MODEL,
    "evaluation.split": "train",
}


def config_of(folder: Path, changes: dict[str, Any] | None = None) -> Config:
    """Return a small run on prepared data."""
    return override(presets.tiny(), {**SMALL, "data.folder": str(folder), **(changes or {})})


def asked(folder: Path) -> tuple[Encoder, FeatureRequest]:
    """Return an encoder, the same one in every process, and what is asked of it."""
    torch.set_num_threads(1)
    config = config_of(folder)
    return untrained(config), request_of(config)


def counted() -> list[int]:
    """Count from now on which clips this process reads."""
    read: list[int] = []
    plain: Callable[[ClipDataset, int], Any] = ClipDataset.__getitem__

    def reading(self: ClipDataset, index: int) -> Any:
        read.append(index)
        return plain(self, index)

    ClipDataset.__getitem__ = reading
    return read


def _rank(rank: int, world: int, port: int, folder: Path, root: Path) -> None:
    encoder, request = asked(folder)
    read = counted()
    with open_group(Meeting(Ranks(rank, world, rank), "127.0.0.1", port), "cpu") as ranks:
        found = extract(encoder, request, root, ranks=ranks)
    torch.save((read, found.ids), root / f"rank{rank}.pt")


def together(world: int, port: int, folder: Path, root: Path) -> list[list[int]]:
    """Return which clips each of several ranks read."""
    mp.spawn(_rank, (world, port, folder, root), nprocs=world)
    return [torch.load(root / f"rank{rank}.pt")[0] for rank in range(world)]


def _beside(number: int, barrier: Any, folder: Path, root: Path) -> None:
    encoder, request = asked(folder)
    read = counted()
    barrier.wait()
    extract(encoder, request, root)
    torch.save(read, root / f"process{number}.pt")


def at_once(world: int, folder: Path, root: Path) -> list[list[int]]:
    """Return which clips each of several processes read that know nothing of each other."""
    barrier = mp.get_context("spawn").Barrier(world)
    mp.spawn(_beside, (barrier, folder, root), nprocs=world)
    return [torch.load(root / f"process{number}.pt") for number in range(world)]


def _killed_at(call: int, folder: Path, root: Path) -> None:
    """Fill a cache and be killed when the disk is waited for the so-manieth time."""
    plain, calls = os.fsync, iter(range(sys.maxsize))

    def fsync(handle: Any) -> None:
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        plain(handle)

    os.fsync = fsync
    extract(*asked(folder), root)


def main(folder: Path, roots: Path) -> None:
    """Kill a process at every place where the disk is waited for, a cache for each."""
    for call in range(sys.maxsize):
        child = os.fork()
        if child == 0:
            _killed_at(call, folder, roots / f"{call:03d}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
