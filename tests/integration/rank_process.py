"""What each process of the tests of several ranks does: steps on its share of fixed batches."""

from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import Config, override
from tgdp.model.schedules import Moment
from tgdp.training.batches import EpochBatches
from tgdp.training.learner import build_learner
from tgdp.training.optim import scaled
from tgdp.training.ranks import Meeting, Ranks, open_group
from tgdp.training.shares import own_items
from tgdp.training.step import Batch
from tgdp.training.update import take_step

STEPS = 5
PAIRS = 10
"""Of a step; not to be divided by 3, nor its half by 2."""

BASE: dict[str, Any] = {
    **SMALL_MODEL,
    "training.batch_size": PAIRS,
    "training.steps": STEPS,
    "training.warmup": 0.0,
    "training.schedule": "constant",
    # CAV-MAE's. Adam divides a gradient by its size: where it is next to nothing, rounding decides
    # on the direction of the step, and a higher rate would show that and not the ranks.
    "training.learning_rate": 1e-4,
}
TEACHER = {
    "teacher.enabled": True,
    "teacher.momentum": 0.9,
    "distillation.weight": 0.5,
    "contrastive.mask.selection": "guided",
}
CASES: dict[str, dict[str, Any]] = {
    "dual": {},
    "teacher": TEACHER,
    "sampled": TEACHER | {"contrastive.mask.selection": "sampled"},
    "single": dict(presets.SINGLE_PASS),
    "accumulation": TEACHER | {"training.accumulation": 2},
    "one_way": {"contrastive.directions": "one_way", "contrastive.learned_temperature": True},
    "no_reconstruction": {"reconstruction.weight": 0.0},
    "no_contrast": {"contrastive.weight": 0.0},
}


def config_of(case: str) -> Config:
    """Return a small run."""
    return override(presets.tiny(), {**BASE, **CASES[case]})


def learn(case: str, ranks: Ranks) -> dict[str, Any]:
    """Return losses, norms, the last gradients and the last weights of a few steps."""
    torch.set_num_threads(1)
    config = config_of(case)
    learner = build_learner(config, torch.device("cpu"))
    batches = EpochBatches(PAIRS, config.training, config.seed, ranks)
    training = scaled(config.training, PAIRS)
    steps = []
    for step in range(STEPS):
        batch = _batch(config, batches, step)
        update = take_step(config, learner, batch, training.learning_rate, batches.own)
        assert update.is_taken
        steps.append({**update.losses._asdict(), "norm": update.norm})
    student = dict(learner.student.named_parameters())
    teacher = {} if learner.teacher is None else dict(learner.teacher.named_parameters())
    return {
        "steps": steps,
        "gradients": {name: p.grad for name, p in student.items()},
        "weights": {name: p.detach() for name, p in student.items()},
        "teacher": {name: p.detach() for name, p in teacher.items()},
    }


def _batch(config: Config, batches: EpochBatches, step: int) -> Batch:
    generator = torch.Generator().manual_seed(step)
    data = config.data
    audio = torch.randn(PAIRS, data.audio_steps, 128, generator=generator)
    image = torch.randn(PAIRS, 3, data.image_size, data.image_size, generator=generator)
    mine = torch.tensor(own_items(range(PAIRS), batches.own_stretches))
    return Batch(audio[mine], image[mine], mine, Moment(step, STEPS, step))


def _main(rank: int, world: int, port: int, folder: str) -> None:
    with open_group(Meeting(Ranks(rank, world, rank), "127.0.0.1", port), "cpu") as ranks:
        found: dict[str, Any] = {case: learn(case, ranks) for case in CASES}
    threads = Path("/proc/self/task").glob("*/comm")
    found["threads"] = [path.read_text().strip() for path in threads]
    torch.save(found, Path(folder) / f"rank{rank}.pt")


def together(world: int, port: int, folder: Path) -> list[dict[str, Any]]:
    """Return what each of several ranks found, case by case."""
    mp.spawn(_main, (world, port, str(folder)), nprocs=world)
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(world)]
