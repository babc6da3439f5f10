"""A run on several ranks at once, each an attempt of its own."""

import socket
from collections.abc import Mapping

from kill_process import Attempt, Trick

from tgdp.config import Config
from tgdp.training.run_directory import RunDirectory


def free_port() -> int:
    """Return a port of this host that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def loopback() -> dict[str, str]:
    """Return the variable that lets gloo talk on this host, whose name may lead nowhere."""
    names = {name for _, name in socket.if_nameindex()}
    return {"GLOO_SOCKET_IFNAME": "lo" if "lo" in names else "lo0"}


def on_ranks(
    run: RunDirectory, config: Config, world: int, tricks: Mapping[int, Trick]
) -> list[int]:
    """Let some ranks work on a run; return their exit codes.

    Args:
        run: Its folder.
        config: The run.
        world: Ranks.
        tricks: What is done to some of them first.
    """
    common = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(free_port()), **loopback()}
    attempts = [
        Attempt(
            run,
            config,
            tricks.get(rank),
            environment={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(world)
    ]
    return [attempt.join() for attempt in attempts]
