"""The two things outside its folder that a test cluster changes on its machine, and takes back."""

import fcntl
from pathlib import Path

from slurm.testbed.settings import LOOPBACK, Cluster

HOSTS = Path("/etc/hosts")

LINK = Path("/etc/slurm/slurm.conf")
"""Where SLURM looks if SLURM_CONF is not set."""


def name_nodes(cluster: Cluster, hosts: Path = HOSTS) -> bool:
    """Have the nodes' names stand for this machine: the ranks of a job find each other by them.

    Args:
        cluster: Whose nodes.
        hosts: The file to add a line to; other clusters have theirs.

    Returns:
        Whether they do now.
    """
    line = f"{LOOPBACK} {' '.join(cluster.nodes)} {_mark(cluster)}"
    return _rewrite(hosts, cluster, [line])


def forget_nodes(cluster: Cluster, hosts: Path = HOSTS) -> None:
    """Take the line of `name_nodes` away again, whatever else was added since."""
    _rewrite(hosts, cluster, [])


def link(cluster: Cluster, path: Path = LINK) -> bool:
    """Make it the machine's own cluster, unless there is one.

    Returns:
        Whether it is.
    """
    if not path.is_symlink() and not path.exists():
        try:
            path.symlink_to(cluster.configuration)
        except OSError:
            return False
    return _links(cluster, path)


def unlink(cluster: Cluster, path: Path = LINK) -> None:
    """Take the link of `link` away again, if it is this cluster's."""
    if _links(cluster, path):
        path.unlink()


def _mark(cluster: Cluster) -> str:
    return f"# slurm testbed in {cluster.folder}"


def _links(cluster: Cluster, path: Path) -> bool:
    return path.is_symlink() and path.readlink() == cluster.configuration


def _rewrite(hosts: Path, cluster: Cluster, added: list[str]) -> bool:
    try:
        # In place: in a container it is a mount, which cannot be replaced.
        with hosts.open("r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            former = file.read()
            lines = former.splitlines()
            if [line for line in lines if line.endswith(_mark(cluster))] != added:
                kept = [line for line in lines if not line.endswith(_mark(cluster))]
                file.seek(0)
                file.write("".join(f"{line}\n" for line in [*kept, *added]))
                file.truncate()
    except OSError:
        return False
    return True
