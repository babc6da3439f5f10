"""Which checkpoint of a run is looked at."""

import pytest
import torch

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import dump, override
from tgdp.errors import UserError
from tgdp.evaluation.stored import open_checkpoint
from tgdp.model.dual_path import Student
from tgdp.training import checkpoint

SMALL = {
    **SMALL_MODEL,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with three checkpoints, of which the first is the best."""
    path = tmp_path_factory.mktemp("run")
    folder = path / "checkpoints"
    folder.mkdir()
    config = override(presets.tiny(), SMALL)
    torch.manual_seed(0)
    state = {"config": dump(config), "student": Student(config).state_dict(), "teacher": None}
    for step in (10, 20, 30):
        file = checkpoint.save(folder, step, state)
        checkpoint.save_best(folder, file, "r1", 1.0 / step)
    return path


@pytest.mark.parametrize(("which", "step"), [("last", 30), ("best", 10), ("20", 20)])
def test_the_checkpoint_that_was_asked_for_is_opened(run, which, step):
    assert open_checkpoint(run, which=which).step == step


@pytest.mark.parametrize("which", ["10", "020", "worst"])
def test_a_checkpoint_that_is_not_there_is_refused(run, which):
    with pytest.raises(UserError, match=f"no checkpoint '{which}'. Valid: last, 30, 20, best"):
        open_checkpoint(run, which=which)
