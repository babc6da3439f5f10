"""A test cluster as a whole: up, down, how it is."""

import fcntl
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager

from slurm.testbed import configuration, jobs, machine, packages, process, settings
from slurm.testbed.accounts import make_accounts
from slurm.testbed.commands import ask
from slurm.testbed.daemons import bring_up, daemons, make_database, record_of, refuse_taken_ports
from slurm.testbed.settings import Cluster
from tgdp.errors import UserError

NODES_PATIENCE_S = 60

UNFIT = ("down", "drain", "unk", "fail", "*")
"""Parts of what SLURM calls a node that takes no jobs; `*` is one that does not respond."""

Say = Callable[[str], None]


def up(cluster: Cluster, say: Say, *, as_default: bool = True) -> None:
    """Bring a cluster up, or what is missing of it; does nothing to what is alive.

    Args:
        cluster: Which.
        say: Is told of each thing that was done.
        as_default: Whether it may become the machine's own cluster, if that has none.

    Raises:
        UserError: Packages are missing and cannot be installed, a port is taken, a daemon does
            not start, or the cluster is up with another configuration.
    """
    missing = packages.missing(cluster)
    if missing:
        packages.install(missing)
        say(f"installed {', '.join(missing)}")
    cluster.folder.mkdir(parents=True, exist_ok=True)
    with _alone(cluster):
        refuse_taken_ports(cluster)
        settings.record(cluster)
        _configure(cluster)
        for daemon in daemons(cluster):
            if daemon.name == "mariadbd":
                make_database(cluster)
            if bring_up(cluster, daemon):
                say(f"started {daemon.name}")
            if daemon.name == "slurmdbd":
                make_accounts(cluster)
        _wait_for_nodes(cluster)
        if not machine.name_nodes(cluster):
            say(f"{machine.HOSTS} cannot be written: jobs on several nodes need MASTER_ADDR set")
        if as_default:
            machine.link(cluster)


def down(cluster: Cluster, say: Say, *, wipe: bool = False) -> None:
    """Stop what `up` started, and nothing else; what it changed on the machine is taken back.

    Args:
        cluster: Which.
        say: Is told of each thing that was done.
        wipe: Whether to remove its folder too: jobs, accounts, logs.
    """
    if not cluster.folder.is_dir():
        return
    with _alone(cluster):
        known = daemons(cluster)
        if is_alive(cluster, "slurmctld"):
            jobs.end_all(cluster)
        # The nodes first: they take no more work, and are not missed.
        for daemon in reversed(known):
            if process.stop(record_of(cluster, daemon.name), daemon.patience_s):
                say(f"stopped {daemon.name}")
        left = jobs.kill_left(cluster)
        if left:
            say(f"killed {left} processes that were left of jobs")
        machine.forget_nodes(cluster)
        machine.unlink(cluster)
        if wipe:
            _remove(cluster)


def is_alive(cluster: Cluster, name: str) -> bool:
    """Return whether a daemon of a cluster lives."""
    return process.living(record_of(cluster, name)) is not None


def _configure(cluster: Cluster) -> None:
    changed = configuration.differences(cluster)
    alive = [daemon.name for daemon in daemons(cluster) if is_alive(cluster, daemon.name)]
    if changed and alive:
        raise UserError(
            f"{changed[0]}: the cluster would be configured otherwise now, and {alive[0]} runs "
            f"with this. Stop it first: `down --dir {cluster.folder}`"
        )
    configuration.write(cluster)


def _wait_for_nodes(cluster: Cluster) -> None:
    if not process.wait_until(lambda: not _unfit(cluster), NODES_PATIENCE_S):
        raise UserError(
            f"nodes do not come up: {', '.join(_unfit(cluster))}; see {cluster.folder}/log"
        )


def _unfit(cluster: Cluster) -> list[str]:
    """Return the nodes that take no jobs, those that were drained being taken back."""
    unfit: list[str] = []
    for line in ask(cluster, "sinfo", "--noheader", "--Node", "--format=%N %T").splitlines():
        node, state = line.split()
        if any(part in state for part in UNFIT) and node not in unfit:
            unfit.append(node)
            if "drain" in state:
                ask(cluster, "scontrol", "update", f"nodename={node}", "state=resume")
    return unfit


def _remove(cluster: Cluster) -> None:
    for name in configuration.FOLDERS:
        shutil.rmtree(cluster.folder / name, ignore_errors=True)
    for name in (settings.MADE, settings.LOCK):
        (cluster.folder / name).unlink(missing_ok=True)
    if not any(cluster.folder.iterdir()):
        cluster.folder.rmdir()


@contextmanager
def _alone(cluster: Cluster) -> Generator[None, None, None]:
    """Wait for another `up` or `down` of the same cluster."""
    with (cluster.folder / settings.LOCK).open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
