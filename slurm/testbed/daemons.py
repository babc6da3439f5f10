"""The daemons of a test cluster: how each is started, and how it is known to answer."""

import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from slurm.testbed import process
from slurm.testbed.commands import succeeds
from slurm.testbed.configuration import INNODB_LOG
from slurm.testbed.packages import program
from slurm.testbed.settings import LOOPBACK, Cluster, address, user
from tgdp.errors import UserError

LAST_LINES = 6


@dataclass(frozen=True)
class Daemon:
    """One process of the cluster.

    Args:
        name: As in `status`; its record and its log are named after it.
        command: The program's name and its arguments.
        patience_s: How long it may take to answer, or to end when asked to, in seconds.
        where: The address and port it listens on, if it does.
        question: A command that ends well once it does its work; none if to listen is enough.
    """

    name: str
    command: tuple[str, ...]
    patience_s: float
    where: tuple[str, int] | None = None
    question: tuple[str, ...] = ()


def daemons(cluster: Cluster) -> list[Daemon]:
    """Return the daemons of a cluster, in the order in which they start."""
    accounting = [_mariadbd(cluster), _slurmdbd(cluster)]
    return [
        _munged(cluster),
        *(accounting if cluster.accounting == "slurmdbd" else []),
        _slurmctld(cluster),
        *(_slurmd(cluster, node) for node in cluster.nodes),
    ]


def record_of(cluster: Cluster, name: str) -> Path:
    """Return the file that says which process a daemon is."""
    return cluster.folder / "pids" / f"{name}.json"


def refuse_taken_ports(cluster: Cluster) -> None:
    """Look whether what is to be started can listen where it is to.

    Raises:
        UserError: Something else listens there.
    """
    for daemon in daemons(cluster):
        dead = process.living(record_of(cluster, daemon.name)) is None
        if dead and daemon.where is not None and _listens(daemon.where):
            raise UserError(
                f"port {daemon.where[1]} is taken, and {daemon.name} needs it. Take others with "
                f"--port {cluster.port + 100}"
            )


def bring_up(cluster: Cluster, daemon: Daemon) -> bool:
    """Start a daemon unless it lives, and wait until it answers.

    Returns:
        Whether it had to be started.

    Raises:
        UserError: It ended at once, or it does not answer.
    """
    record = record_of(cluster, daemon.name)
    log = cluster.folder / "log" / f"{daemon.name}.out"
    fresh = process.living(record) is None
    if fresh:
        command = (program(cluster, daemon.command[0]), *daemon.command[1:])
        process.start(command, cluster.environment(), record, log)
    up = process.wait_until(
        lambda: process.living(record) is None or _answers(cluster, daemon), daemon.patience_s
    )
    if process.living(record) is None:
        raise UserError(f"{daemon.name} ended at once. {_last_words(log)}")
    if not up:
        raise UserError(
            f"{daemon.name} does not answer after {daemon.patience_s:g} s. {_last_words(log)}"
        )
    return fresh


def _munged(cluster: Cluster) -> Daemon:
    folder = cluster.folder
    command = (
        "munged",
        "--foreground",
        # It mends what a killed one left behind, and takes folders that a group may write.
        "--force",
        "--num-threads=2",
        f"--key-file={folder}/etc/munge.key",
        f"--socket={cluster.munge_socket}",
        f"--pid-file={folder}/pids/munged.own",
        f"--log-file={folder}/log/munged.log",
        f"--seed-file={folder}/state/munged.seed",
    )
    question = ("munge", "--no-input", f"--socket={cluster.munge_socket}")
    return Daemon("munged", command, 10, question=question)


def _mariadbd(cluster: Cluster) -> Daemon:
    folder = cluster.folder
    where = (LOOPBACK, cluster.database_port)
    command = (
        "mariadbd",
        "--no-defaults",
        f"--user={user()}",
        f"--datadir={folder}/database",
        f"--socket={folder}/sockets/mariadb",
        f"--bind-address={LOOPBACK}",
        f"--port={cluster.database_port}",
        f"--pid-file={folder}/pids/mariadbd.own",
        f"--init-file={folder}/etc/database.sql",
        "--skip-log-bin",
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=64M",
        f"--innodb-log-file-size={INNODB_LOG}",
        "--innodb-lock-wait-timeout=900",
        # Nothing here is worth waiting for a disk.
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
        "--innodb-flush-method=nosync",
        "--max-connections=40",
    )
    return Daemon("mariadbd", command, 30, where)


def _slurmdbd(cluster: Cluster) -> Daemon:
    where = (LOOPBACK, cluster.slurmdbd_port)
    question = ("sacctmgr", "--noheader", "list", "cluster")
    return Daemon("slurmdbd", ("slurmdbd", "-D"), 60, where, question)


def _slurmctld(cluster: Cluster) -> Daemon:
    command = ("slurmctld", "-D", "-f", str(cluster.configuration))
    if not (cluster.folder / "state" / "job_state").exists():
        # Nothing is saved yet, which it takes for damage unless told.
        command += ("-i",)
    where = (address() or LOOPBACK, cluster.port)
    return Daemon("slurmctld", command, 30, where, ("scontrol", "ping"))


def _slurmd(cluster: Cluster, node: str) -> Daemon:
    command = ("slurmd", "-D", "-N", node, "-f", str(cluster.configuration))
    where = (address() or LOOPBACK, cluster.nodes[node])
    return Daemon(f"slurmd-{node}", command, 20, where)


def _answers(cluster: Cluster, daemon: Daemon) -> bool:
    # Asked before it listens, SLURM's commands try again for seconds.
    if daemon.where is not None and not _listens(daemon.where):
        return False
    return not daemon.question or succeeds(cluster, *daemon.question)


def _listens(where: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(where, timeout=1):
            return True
    except OSError:
        return False


def _last_words(log: Path) -> str:
    logs = [log, log.with_suffix(".log")]
    lines = [
        f"  {line}"
        for path in logs
        if path.exists()
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    ]
    return "\n".join([f"Its last words, from {log.parent}:", *lines])


def make_database(cluster: Cluster) -> None:
    """Make the database's own tables, once.

    `mariadb-install-db` does the same, but needs the client's package.

    Raises:
        UserError: It cannot be made; with the server's last words.
    """
    folder = cluster.folder / "database"
    if (folder / "made").exists():
        return
    tables = Path("/usr/share/mysql")
    script = "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n"
    for name in ("mysql_system_tables.sql", "mysql_system_tables_data.sql"):
        script += (tables / name).read_text(encoding="utf-8")
    command = (
        program(cluster, "mariadbd"),
        "--no-defaults",
        "--bootstrap",
        f"--user={user()}",
        f"--datadir={folder}",
        f"--innodb-log-file-size={INNODB_LOG}",
        "--innodb-flush-method=nosync",
        "--enforce-storage-engine=",
        "--log-warnings=0",
    )
    done = subprocess.run(
        command,
        input=script,
        env=cluster.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
        raise UserError(f"{folder}: the database cannot be made:\n{words}")
    (folder / "made").touch()
