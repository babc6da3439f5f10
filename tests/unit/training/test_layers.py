"""Layers computed in another way compute the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from layer_runs import learn

from tgdp import presets
from tgdp.config import override
from tgdp.training.graphed import why_not
from tgdp.training.learner import build_learner


def test_layers_computed_again_backwards_give_the_same_weights():
    plain, again = learn({}), learn({"runtime.activation_checkpointing": True})
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


@pytest.mark.slow
def test_compiled_layers_give_the_same_gradients():
    # In a process of its own: the checks of shapes that the tests put in cannot be compiled.
    script = Path(__file__).parent / "layer_runs.py"
    run = subprocess.run([sys.executable, "-W", "ignore", script], capture_output=True, check=True)
    found = json.loads(run.stdout)
    assert found["graphs"] > 10  # one for each shape of each layer, forwards
    assert found["gradients"] > 50
    assert found["apart"] < 1e-6


@pytest.mark.parametrize(
    ("changes", "world", "words"),
    [
        ({}, 1, None),
        ({}, 2, "several ranks"),
        ({"training.precision": "float16"}, 1, "float16"),
        ({"training.accumulation": 2}, 1, "in parts"),
        (
            {"contrastive.mask.schedule": "linear", "contrastive.mask.from_ratio": 0.75},
            1,
            "mask ratio changes",
        ),
    ],
)
def test_what_cannot_be_recorded_as_a_graph_is_said(changes, world, words):
    config = override(presets.tiny(), changes)
    reason = why_not(config, torch.device("cuda"), world)
    assert reason is None if words is None else words in (reason or "")
    assert "cpu" in (why_not(config, torch.device("cpu"), world) or "")


def test_without_a_gpu_a_run_goes_without_a_graph_and_says_so(caplog):
    config = override(presets.tiny(), {"runtime.cuda_graphs": True})
    assert build_learner(config, torch.device("cpu")).graphed is None
    assert "runtime.cuda_graphs: the run goes without, because it runs on a cpu" in caplog.text
