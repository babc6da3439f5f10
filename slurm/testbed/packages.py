"""The Debian packages that a test cluster is made of."""

import os
import shutil
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from slurm.testbed.settings import Cluster
from tgdp.errors import UserError

PACKAGES = {
    "munged": "munge",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "sbatch": "slurm-client",
}
"""A program, and the package it comes in."""

ACCOUNTING_PACKAGES = {
    "slurmdbd": "slurmdbd",
    # The server alone: neither its client nor a service nor perl.
    "mariadbd": "mariadb-server-core",
}

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks it whether a package may start its service; 101 is no."""


def missing(cluster: Cluster) -> list[str]:
    """Return the packages that a cluster needs and the machine lacks."""
    wanted = PACKAGES | (ACCOUNTING_PACKAGES if cluster.accounting == "slurmdbd" else {})
    path = cluster.environment()["PATH"]
    return [package for name, package in wanted.items() if shutil.which(name, path=path) is None]


def install_line(packages: Iterable[str]) -> str:
    """Return the command that installs packages."""
    return f"apt-get install -y --no-install-recommends {' '.join(packages)}"


def can_install() -> bool:
    """Return whether this user of this machine may install packages."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(packages: list[str]) -> None:
    """Install packages, their services not started.

    Raises:
        UserError: It is not possible here; names the command to run elsewhere, or as root.
    """
    line = install_line(packages)
    if not can_install():
        raise UserError(
            f"packages are missing: {', '.join(packages)}. On Debian 12, as root: "
            f"apt-get update && {line}"
        )
    with _no_services():
        # What is known of the packages may be out of date: then once more.
        done = _apt(line)
        if done.returncode != 0:
            _apt("apt-get update -qq")
            done = _apt(line)
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).splitlines()[-5:])
        raise UserError(f"`{line}` ended with {done.returncode}:\n{words}")


def program(cluster: Cluster, name: str) -> str:
    """Return the path of a program.

    Raises:
        UserError: It is not there.
    """
    found = shutil.which(name, path=cluster.environment()["PATH"])
    if found is None:
        packages = (PACKAGES | ACCOUNTING_PACKAGES).get(name, "slurm-client")
        raise UserError(f"{name} is missing: {install_line([packages])}")
    return found


def _apt(line: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        line.split(), env=environment, capture_output=True, text=True, check=False
    )


@contextmanager
def _no_services() -> Generator[None, None, None]:
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
