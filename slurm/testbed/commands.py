"""SLURM's own commands, asked of one cluster."""

import subprocess

from slurm.testbed.settings import Cluster
from tgdp.errors import UserError

PATIENCE_S = 30


def succeeds(cluster: Cluster, *command: str) -> bool:
    """Return whether a command ends well."""
    try:
        return _run(cluster, *command).returncode == 0
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return False


def ask(cluster: Cluster, *command: str) -> str:
    """Return what a command prints.

    Raises:
        UserError: It fails; with its words.
    """
    try:
        done = _run(cluster, *command)
    except subprocess.TimeoutExpired as error:
        raise UserError(f"`{' '.join(command)}` does not end") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise UserError(f"`{' '.join(command)}` ended with {done.returncode}: {words}")
    return done.stdout


def _run(cluster: Cluster, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=cluster.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
