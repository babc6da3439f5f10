"""How a test cluster is, for people."""

from pathlib import Path

from slurm.testbed import process
from slurm.testbed.cluster import Say, is_alive
from slurm.testbed.commands import ask
from slurm.testbed.daemons import daemons, record_of
from slurm.testbed.settings import Cluster

NODES = ("sinfo", "--Node", "--partition=main", "--format=%10N %.10T %.5c %.8m %.7G %f")
PARTITIONS = ("sinfo", "--format=%15P %.11l %.6D %.10t %N")
QUEUE = ("squeue", "--format=%.8i %.14P %.20j %.10T %.8M %.6D %R")


def show(cluster: Cluster, say: Say) -> bool:
    """Say which daemons live, and what SLURM says of nodes, partitions and queue.

    Args:
        cluster: Which.
        say: Is told each line.

    Returns:
        Whether all of it is up.
    """
    alive = True
    for daemon in daemons(cluster):
        record = record_of(cluster, daemon.name)
        pid = process.living(record)
        alive = alive and pid is not None
        say(f"{daemon.name:14} {_words(record, pid)}")
    if all(is_alive(cluster, name) for name in ("munged", "slurmctld")):
        for question in (NODES, PARTITIONS, QUEUE):
            say("")
            say(ask(cluster, *question).rstrip())
    return alive


def _words(record: Path, pid: int | None) -> str:
    if pid is not None:
        return f"alive   pid {pid:<8} {_memory_mb(pid):5.0f} MB"
    return "dead    `up` starts it again" if record.exists() else "stopped"


def _memory_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    kilobytes = next((line.split()[1] for line in text.splitlines() if "VmRSS" in line), "0")
    return int(kilobytes) / 1024
