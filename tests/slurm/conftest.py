"""The real SLURM of these tests: one cluster a session, or a worker, brought up on first use."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from testbed_session import Testbed, free_port

from slurm.testbed import packages
from slurm.testbed.settings import Cluster


@pytest.fixture(scope="session")
def testbed() -> Generator[Testbed, None, None]:
    """A cluster with accounting that lives until the session ends."""
    with _short_folder() as place:
        cluster = Cluster(place, free_port())
        _have_slurm(cluster)
        bed = Testbed(cluster)
        try:
            done = bed.call("up", "--port", str(cluster.port), "--no-link")
            assert done.returncode == 0, done.stderr
            yield bed
        finally:
            bed.call("down", "--wipe")


@pytest.fixture
def folder() -> Generator[Path, None, None]:
    """A folder for a cluster."""
    with _short_folder() as place:
        yield place


@contextmanager
def _short_folder() -> Generator[Path, None, None]:
    # Not pytest's own: below it the paths of sockets become too long.
    with tempfile.TemporaryDirectory(prefix="slurm-") as place:
        yield Path(place).resolve() / "bed"


def _have_slurm(cluster: Cluster) -> None:
    missing = packages.missing(cluster)
    if not missing:
        return
    words = f"no SLURM here; as root: {packages.install_line(missing)}, or make slurm-up"
    if os.environ.get("TGDP_REQUIRE_SHARED") == "1":
        pytest.fail(words)
    pytest.skip(words)
