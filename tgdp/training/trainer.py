"""The training loop: plain, resumable, stopped at a step boundary when asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from tgdp.config import Config, dump
from tgdp.data.clips import PairDataset
from tgdp.data.front_end import FrontEnd
from tgdp.errors import UserError
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Student
from tgdp.model.encoder import Encoder
from tgdp.model.initial import initialise
from tgdp.model.schedules import Moment, momentum
from tgdp.model.teacher import build_teacher, follow
from tgdp.training import checkpoint
from tgdp.training.batches import EpochBatches
from tgdp.training.in_force import in_force
from tgdp.training.optim import build_optimizer, learning_rate, set_learning_rate
from tgdp.training.recorder import Recorder
from tgdp.training.run_directory import RunDirectory
from tgdp.training.step import Batch, autocast, compute_losses


@dataclass
class Learner:
    """Everything that training changes.

    Attributes:
        student: Trained by gradient.
        teacher: Its slow copy; None where the run has no teacher.
        optimizer: Over the student.
        step: Steps taken.
    """

    student: Student
    teacher: Encoder | None
    optimizer: torch.optim.Optimizer
    step: int = 0


def build_learner(config: Config, device: torch.device, *, is_start: bool = True) -> Learner:
    """Return an untrained learner; the weights depend on the seed and on what it starts from.

    Args:
        config: The run.
        device: Where the weights go.
        is_start: Whether the start weights are read; a run that resumes no longer needs them.

    Raises:
        UserError: The start weights cannot be had or do not fit.
    """
    torch.manual_seed(config.seed)
    student = Student(config).to(device)
    if is_start:
        initialise(student, config)
    teacher = build_teacher(student.encoder) if config.teacher.enabled else None
    return Learner(student, teacher, build_optimizer(student, config.training))


def train(
    run: RunDirectory, config: Config, should_stop: Callable[[], bool]
) -> tuple[Learner, bool]:
    """Train a run from its newest checkpoint to its end, or until asked to stop.

    Args:
        run: Where checkpoints, events and status are written.
        config: The run.
        should_stop: Asked at every step boundary; once true, the state is saved and training ends.

    Returns:
        The learner, and whether it reached the end.

    Raises:
        UserError: The data, a checkpoint or the start weights cannot be read, or the disk is full.
        DivergedError: The loss is not finite.
    """
    device = pick_device(config)
    dataset = PairDataset(data_folder(config), config.data.train_split, config.data, config.seed)
    batches = EpochBatches(_num_clips(dataset, config), config.training, config.seed)
    stored = checkpoint.load_newest(run.checkpoints)
    learner = build_learner(config, device, is_start=stored is None)
    resume(run, learner, stored)
    recorder = Recorder(run, config, batches.total_steps, learner.step)
    front_end = FrontEnd(config.data).to(device)
    loader = _load(dataset, batches.start_at(learner.step), config, device)
    stopped = should_stop()
    for raw in () if stopped else loader:
        batch = _prepare(front_end, raw, batches.moment(learner.step), device)
        rate = learning_rate(config.training, learner.step, batches.total_steps)
        losses, norm = take_step(config, learner, batch, rate)
        extra = in_force(config, learner.student, batch.moment) | {"train/learning_rate": rate}
        recorder.record(learner.step, losses, norm, extra, samples=len(batch.samples))
        stopped = should_stop()
        if stopped or learner.step % config.runtime.save_every == 0:
            save(run, config, learner)
        if stopped:
            break
    finished = learner.step >= batches.total_steps
    if finished:
        save(run, config, learner)
    return learner, finished


def take_step(config: Config, learner: Learner, batch: Batch, rate: float) -> tuple[Losses, Tensor]:
    """Return the losses and the gradient norm of one optimiser step, taken in place.

    Args:
        config: The run.
        learner: Changed in place.
        batch: Pairs on the device.
        rate: Learning rate of this step.
    """
    set_learning_rate(learner.optimizer, rate)
    with autocast(config, batch.image.device):
        losses = compute_losses(config, learner.student, learner.teacher, batch)
    learner.optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    norm = nn.utils.clip_grad_norm_(learner.student.parameters(), config.training.clip_norm)
    learner.optimizer.step()
    learner.student.hold_temperature()
    if learner.teacher is not None:
        follow(learner.teacher, learner.student.encoder, momentum(config.teacher, batch.moment))
    learner.step += 1
    return losses, norm


def save(run: RunDirectory, config: Config, learner: Learner) -> Path:
    """Write a checkpoint of everything that training changes."""
    teacher = learner.teacher
    return checkpoint.save(
        run.checkpoints,
        learner.step,
        {
            "config": dump(config),
            "student": learner.student.state_dict(),
            "teacher": None if teacher is None else teacher.state_dict(),
            "optimizer": learner.optimizer.state_dict(),
        },
    )


def resume(run: RunDirectory, learner: Learner, stored: dict[str, Any] | None) -> None:
    """Put a learner where a checkpoint, if there is one, left it; the events are cut to fit."""
    if stored is not None:
        learner.student.load_state_dict(stored["student"])
        learner.optimizer.load_state_dict(stored["optimizer"])
        if learner.teacher is not None:
            learner.teacher.load_state_dict(stored["teacher"])
        learner.step = stored["step"]
    run.forget_after(learner.step)


def pick_device(config: Config) -> torch.device:
    """Return the device of a run and give the process its share of the CPU.

    Raises:
        UserError: A GPU is asked for where there is none.
    """
    if config.runtime.threads:
        torch.set_num_threads(config.runtime.threads)
    name = config.runtime.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"runtime.device {name}: torch finds no GPU here; choose cpu or auto")
    return torch.device(name)


def data_folder(config: Config) -> Path:
    """Return the prepared data of a run.

    Raises:
        UserError: The configuration names none.
    """
    if config.data.folder is None:
        raise UserError("data.folder: no prepared data named; give --data DIR")
    return config.data.folder


def _num_clips(dataset: PairDataset, config: Config) -> int:
    if len(dataset) < 2:
        raise UserError(
            f"{data_folder(config)}: split '{config.data.train_split}' holds {len(dataset)} clip; "
            "contrastive training needs at least 2"
        )
    return len(dataset)


def _load(
    dataset: PairDataset, batches: EpochBatches, config: Config, device: torch.device
) -> Iterator[dict[str, Tensor]]:
    workers = config.runtime.num_workers
    return iter(
        DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            prefetch_factor=4 if workers else None,
        )
    )


def _prepare(
    front_end: FrontEnd, raw: dict[str, Tensor], moment: Moment, device: torch.device
) -> Batch:
    moved = {name: value.to(device, non_blocking=True) for name, value in raw.items()}
    inputs = front_end(moved["image"], moved["waveform"], moved["num_steps"])
    return Batch(inputs.audio, inputs.image, moved["index"], moment)
