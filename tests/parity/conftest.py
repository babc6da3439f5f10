"""Figures of the released model that the tests hold ours against."""

from pathlib import Path

import pytest

from tgdp.bench.parity.figures import read_figures
from tgdp.bench.parity.replay import Replay

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def figures_file() -> Path:
    """The thinned copy of the golden figures."""
    return HERE / "figures.npz"


@pytest.fixture(scope="session")
def golden_file(shared) -> Path:
    """The golden figures, all of them."""
    return shared / "parity" / "golden.npz"


@pytest.fixture(scope="session")
def replay(figures_file) -> Replay:
    """Ours on the copy; each part is computed once."""
    return Replay(read_figures(figures_file))


@pytest.fixture(scope="session", params=["two_joint_layers", "no_registers"])
def small_file(request) -> Path:
    """Figures of smaller models, with heads and without, each kept thinned."""
    return HERE / f"{request.param}.npz"
