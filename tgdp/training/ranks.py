"""The processes that train one run together: one a GPU, each with its share of every batch.

Who a process is stands in its environment, whoever started it: torchrun, a SLURM step (as submitit
submits it), or submitit's own executor on one host. A process that was started alone needs no
process group, and everything here then does nothing.
"""

import gc
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tgdp.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Told = TypeVar("Told")

PATIENCE = timedelta(minutes=30)
"""How long a rank waits for the others: an evaluation that only the first one does lies between."""

FIRST_PORT, NUM_PORTS = 20_000, 20_000
"""Where the ranks of a cluster's job meet: a port made of the job's number."""


class Ranks(NamedTuple):
    """A process among those that train a run.

    Attributes:
        rank: Its number, from 0; the first one writes everything that is written.
        world: How many there are.
        local: Its number among those on its host.
    """

    rank: int = 0
    world: int = 1
    local: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run directory."""
        return self.rank == 0


class Meeting(NamedTuple):
    """Where the ranks find each other."""

    ranks: Ranks
    address: str
    port: int


def find_meeting(environment: Mapping[str, str] | None = None) -> Meeting | None:
    """Return who this process is and where it meets the others; None if it was started alone.

    Args:
        environment: Variables of the process; its own if None.

    Raises:
        UserError: The variables of a launcher are there in part only.
    """
    given = os.environ if environment is None else environment
    for launcher in (_torchrun, _slurm, _submitit_on_one_host):
        try:
            meeting = launcher(given)
        except KeyError as error:
            raise UserError(
                f"started as one of several ranks, but {error.args[0]} is not set: start the "
                "processes with torchrun, srun or submitit, or unset WORLD_SIZE and RANK"
            ) from error
        if meeting is not None:
            return meeting
    return None


def _torchrun(given: Mapping[str, str]) -> Meeting | None:
    if int(given.get("WORLD_SIZE", "1")) == 1:
        return None
    ranks = Ranks(int(given["RANK"]), int(given["WORLD_SIZE"]), int(given["LOCAL_RANK"]))
    return Meeting(ranks, given["MASTER_ADDR"], int(given["MASTER_PORT"]))


def _slurm(given: Mapping[str, str]) -> Meeting | None:
    # Of the step, not of the job: a shell on an allocation of four tasks is not one of four ranks.
    if int(given.get("SLURM_STEP_NUM_TASKS", "1")) == 1:
        return None
    world = int(given["SLURM_STEP_NUM_TASKS"])
    ranks = Ranks(int(given["SLURM_PROCID"]), world, int(given["SLURM_LOCALID"]))
    return Meeting(ranks, given["SLURM_LAUNCH_NODE_IPADDR"], _port(given["SLURM_JOB_ID"]))


def _submitit_on_one_host(given: Mapping[str, str]) -> Meeting | None:
    if int(given.get("SUBMITIT_LOCAL_NTASKS", "1")) == 1:
        return None
    rank = int(given["SUBMITIT_LOCAL_GLOBALID"])
    ranks = Ranks(rank, int(given["SUBMITIT_LOCAL_NTASKS"]), int(given["SUBMITIT_LOCAL_LOCALID"]))
    return Meeting(ranks, "127.0.0.1", _port(given["SUBMITIT_LOCAL_JOB_ID"]))


def _port(job: str) -> int:
    return FIRST_PORT + int("".join(filter(str.isdigit, job)) or "0") % NUM_PORTS


@contextmanager
def open_group(meeting: Meeting | None, device: str = "auto") -> Generator[Ranks, None, None]:
    """Join the process group, and leave it at the end; nothing is joined where there is no meeting.

    Args:
        meeting: Who this process is.
        device: `runtime.device`: with a GPU the ranks talk through NCCL, else through gloo.
    """
    if meeting is None:
        yield Ranks()
        return
    import torch
    import torch.distributed as dist

    # Its functions have the group that is open when they are loaded as a default. DDP loads them,
    # and then the group never ends: its threads work on while the interpreter is taken down, and
    # now and then abort a process that has done its work.
    import torch.distributed.nn.functional

    ranks, address, port = meeting
    on_gpu = device != "cpu" and torch.cuda.is_available()
    where = None
    if on_gpu:
        where = _own_gpu(ranks)
        torch.cuda.set_device(where)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        init_method=f"tcp://{address}:{port}",
        rank=ranks.rank,
        world_size=ranks.world,
        timeout=PATIENCE,
        device_id=where,
    )
    try:
        yield ranks
    finally:
        dist.destroy_process_group()
        # DDP is part of a cycle, and holds the group.
        gc.collect()


def current_ranks() -> Ranks:
    """Return this process's place in the open process group; alone where none is open."""
    import torch.distributed as dist

    if current_world() == 1:
        return Ranks()
    local = find_meeting()
    return Ranks(dist.get_rank(), dist.get_world_size(), local.ranks.local if local else 0)


def is_lost_rank(error: BaseException) -> bool:
    """Return whether an error says that another rank is gone, and nothing about this one."""
    if find_meeting() is None:
        return False
    import torch.distributed as dist

    # gloo has no type of its own for it, only the place in its source in the message.
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def summed(values: "Tensor") -> "Tensor":
    """Return the sum over the ranks; alone, the values themselves."""
    import torch.distributed as dist

    if current_world() > 1:
        dist.all_reduce(values)
    return values


def any_rank(flag: bool, device: "torch.device") -> bool:
    """Return whether a flag is up on any rank.

    Args:
        flag: Of this rank.
        device: Of this rank, by which the ranks talk.
    """
    import torch

    if current_world() == 1:
        return flag
    return bool(summed(torch.tensor(int(flag), device=device)).item())


def told(value: Told) -> Told:
    """Return what the first rank passed, on every rank.

    Args:
        value: Plain types; what the other ranks pass is not looked at.
    """
    import torch.distributed as dist

    if current_world() == 1:
        return value
    box: list[Any] = [value]
    dist.broadcast_object_list(box)
    return box[0]


def current_world() -> int:
    """Return the number of ranks of the open process group; 1 where none is open."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank_device(ranks: Ranks, device: "torch.device") -> "torch.device":
    """Return the device of a rank: of several GPUs on its host, its own."""
    return device if device.type != "cuda" or ranks.world == 1 else _own_gpu(ranks)


def _own_gpu(ranks: Ranks) -> "torch.device":
    import torch

    return torch.device("cuda", ranks.local % torch.cuda.device_count())
