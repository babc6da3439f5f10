"""What a test cluster is: where it lives, which ports it takes, what its nodes claim to have."""

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from tgdp.errors import UserError, unknown_name

Accounting = Literal["slurmdbd", "none"]

CHECKOUT = Path(__file__).parents[2]

DEFAULT_FOLDER = CHECKOUT / ".slurm"

DEFAULT_PORT = 26800
"""Below 32768, where Linux starts to hand out ports to whoever asks for any."""

LOOPBACK = "127.0.0.1"

NUM_NODES = 3
CPUS = 8
MEMORY_MB = 16_000
GPUS = 4

MADE = "cluster.json"
LOCK = "lock"

LONGEST_FOLDER = 65
"""A socket's path has at most 107 characters, and a step's, below the folder, needs about 40."""


@dataclass(frozen=True)
class Cluster:
    """One test cluster, up or not.

    Args:
        folder: Everything it writes lies below: configuration, logs, sockets, state.
        port: The first of the ports it listens on.
        accounting: `slurmdbd` keeps jobs in a database, as most real clusters do; with `none`
            `sacct` refuses to answer.
    """

    folder: Path
    port: int = DEFAULT_PORT
    accounting: Accounting = "slurmdbd"

    @property
    def name(self) -> str:
        """SLURM's name of the cluster, different for any two that run side by side."""
        return f"testbed{self.port}"

    @property
    def configuration(self) -> Path:
        """What SLURM_CONF has to name."""
        return self.folder / "etc" / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        """Where munged answers."""
        return self.folder / "sockets" / "munge"

    @property
    def slurmdbd_port(self) -> int:
        """Where the accounting daemon listens."""
        return self.port + 1

    @property
    def database_port(self) -> int:
        """Where the database listens."""
        return self.port + 2

    @property
    def nodes(self) -> dict[str, int]:
        """The nodes' names and where each listens."""
        return {f"node{number}": self.port + 10 + number for number in range(1, NUM_NODES + 1)}

    def environment(self) -> dict[str, str]:
        """Return the environment of the daemons, and of whoever talks to them.

        Nothing else is passed on: a variable that SLURM reads, set for another cluster, would lead
        there.
        """
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
        home = os.environ.get("HOME", "/")
        return {"SLURM_CONF": str(self.configuration), "PATH": path, "HOME": home, "LC_ALL": "C"}


def user() -> str:
    """Return who runs the cluster: whoever starts it."""
    return getpass.getuser()


def host() -> str:
    """Return this machine's name as SLURM takes it, without a domain."""
    return socket.gethostname().partition(".")[0]


def address() -> str | None:
    """Return the address that the machine's own name stands for, None if it is of no use.

    Debian gives a machine without a fixed address the name's 127.0.1.1. What listens there is not
    found: SLURM takes the address a call comes from for the caller's, and that is 127.0.0.1.
    """
    try:
        found = socket.gethostbyname(host())
    except OSError:
        return None
    return None if found.startswith("127.") and found != LOOPBACK else found


def choose(folder: Path, port: int | None, accounting: str | None) -> Cluster:
    """Return the cluster of a folder: as it was made, or as it is to be made.

    Args:
        folder: The folder of the cluster.
        port: Its first port; None is what it was made with, or the default.
        accounting: As in `Cluster`; None as with the port.

    Raises:
        UserError: The folder is no place for a cluster, or holds one that was made otherwise.
    """
    folder = folder.resolve()
    if len(str(folder)) > LONGEST_FOLDER:
        raise UserError(
            f"--dir {folder}: {len(str(folder))} characters, and the sockets below it would have "
            f"more than Linux allows. Name one of at most {LONGEST_FOLDER}, as --dir /tmp/slurm"
        )
    made = _read(folder)
    cluster = Cluster(
        folder,
        port if port is not None else made.port if made else DEFAULT_PORT,
        _checked(accounting or (made.accounting if made else "slurmdbd")),
    )
    if made is not None and made != cluster:
        raise UserError(
            f"{folder}: holds a cluster with --port {made.port} --accounting {made.accounting}. "
            f"Take another --dir, or remove that one with `down --wipe --dir {folder}`"
        )
    if made is None and folder.is_dir() and {path.name for path in folder.iterdir()} - {LOCK}:
        raise UserError(f"--dir {folder}: is not empty, and no test cluster. Name another folder")
    return cluster


def record(cluster: Cluster) -> None:
    """Write down how the cluster is made, so that its folder is all one has to name later."""
    text = json.dumps({**asdict(cluster), "folder": str(cluster.folder)}, indent=1)
    (cluster.folder / MADE).write_text(text + "\n", encoding="utf-8")


def _checked(accounting: str) -> Accounting:
    for known in get_args(Accounting):
        if accounting == known:
            return known
    raise unknown_name("accounting", accounting, get_args(Accounting))


def _read(folder: Path) -> Cluster | None:
    path = folder / MADE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return Cluster(folder, int(fields["port"]), _checked(fields["accounting"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}). Remove {folder}") from error
