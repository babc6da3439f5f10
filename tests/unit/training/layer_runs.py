"""A few steps with the layers computed in some way; as a script, compiled against not."""

import json
import sys
from functools import partial, partialmethod

import torch

from tgdp import presets
from tgdp.config import override
from tgdp.model.schedules import Moment
from tgdp.training.learner import build_learner
from tgdp.training.step import Batch
from tgdp.training.update import take_step

SMALL = {
    "model.width": 16,
    "model.num_heads": 2,
    "model.modality_layers": 2,
    "model.decoder.width": 8,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "contrastive.mask.selection": "guided",
}


def learn(changes: dict, steps: int = 2) -> list[torch.nn.Parameter]:
    """Return the parameters after some steps, with the gradients of the last one."""
    config = override(presets.tiny(), {**SMALL, **changes})
    learner = build_learner(config, torch.device("cpu"))
    names = list(learner.student.state_dict())
    assert not any("checkpoint" in name or "_orig_mod" in name for name in names)
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(6, config.data.audio_steps, 128, generator=generator)
    image = torch.randn(6, 3, 48, 48, generator=generator)
    for step in range(steps):
        batch = Batch(audio, image, torch.arange(6), Moment(step, 9, 0))
        assert take_step(config, learner, batch, 1e-3).is_taken
    return list(learner.student.parameters())


def _compare() -> dict[str, float]:
    torch.set_num_threads(1)
    plain, compiled = learn({}, steps=1), learn({"runtime.compile": True}, steps=1)
    from torch._dynamo.utils import counters

    apart = [
        (a.grad - b.grad).abs().max().item()
        for a, b in zip(plain, compiled, strict=True)
        if a.numel() and a.grad is not None and b.grad is not None
    ]
    return {
        "graphs": counters["stats"]["unique_graphs"],
        "gradients": len(apart),
        "apart": max(apart),
    }


if __name__ == "__main__":
    # Everything but the code that comes out: that takes ten seconds a graph with a C++ compiler.
    torch.nn.Module.compile = partialmethod(torch.nn.Module.compile, backend="aot_eager")
    torch.compile = partial(torch.compile, backend="aot_eager")
    json.dump(_compare(), sys.stdout)
