"""What runs on a test cluster: the jobs, and the processes that are left when they are gone."""

import os
from contextlib import suppress
from pathlib import Path

from slurm.testbed import process
from slurm.testbed.commands import ask
from slurm.testbed.settings import Cluster
from tgdp.errors import UserError

PATIENCE_S = 8
"""A job that ignores SIGTERM takes KillWait; one whose node is dead never ends."""


def end_all(cluster: Cluster) -> None:
    """Cancel every job and wait until none is left; does nothing where SLURM does not answer."""
    with suppress(UserError):
        for arguments in ((), ("--signal=KILL", "--full")):
            numbers = _jobs(cluster)
            if numbers:
                # Some may have ended meanwhile, which it calls an error.
                with suppress(UserError):
                    ask(cluster, "scancel", *arguments, *numbers)
        process.wait_until(lambda: not _jobs(cluster), PATIENCE_S)


def kill_left(cluster: Cluster) -> int:
    """Kill the processes of jobs that outlived their cluster's daemons.

    Returns:
        How many there were.
    """
    left = [
        identity
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit()
        and (identity := process.identify(int(entry.name))) is not None
        and (_is_step(entry, identity, cluster) or _is_task(entry, cluster))
    ]
    for identity in left:
        process.kill(identity)
    return len(left)


def _jobs(cluster: Cluster) -> list[str]:
    return ask(cluster, "squeue", "--noheader", "--format=%A").split()


def _is_step(entry: Path, identity: process.Identity, cluster: Cluster) -> bool:
    """Tell SLURM's own process above a job's: it keeps its node's log open."""
    if not identity.command[0].startswith("slurmstepd"):
        return False
    with suppress(OSError):
        return any(
            Path(os.readlink(file)).is_relative_to(cluster.folder)
            for file in (entry / "fd").iterdir()
        )
    return False


def _is_task(entry: Path, cluster: Cluster) -> bool:
    """Tell a process of a job. A shell of `salloc` has no node: it is its user's."""
    try:
        environment = (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    names = {word.partition(b"=")[0] for word in environment}
    return (
        f"SLURM_CLUSTER_NAME={cluster.name}".encode() in environment and b"SLURMD_NODENAME" in names
    )
