"""A training step as the released TG-DP code works: what ours is timed against.

It computes the same losses and gradients from the same parameters; a test holds both equal. It is
slow only where the released code is, never by something that is not there.

"Released lines" are those of TG-DP's `src/models/cavmae_dp.py`, commit 978274c, which holds no
training code; "trainer lines" those of its ancestor CAV-MAE's `src/traintest_cavmae.py`, commit
68fe8c2. The update of the teacher is published nowhere: ours, a loop over the parameters.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.profiler import record_function

from tgdp.bench.plain_layers import (
    Mask,
    Masked,
    Streams,
    View,
    full_forward,
    mask_by_order,
    teacher_forward,
)
from tgdp.bench.plain_losses import decode, info_nce, pixel_loss, rebuild_pictures
from tgdp.config import Config
from tgdp.errors import UserError
from tgdp.losses.distillation import distillation_loss
from tgdp.losses.objective import Losses
from tgdp.model.dual_path import Noise, Path, Student, temperature
from tgdp.model.encoder import Encoder, Modality, Pair
from tgdp.model.schedules import is_guided, mask_ratios, momentum
from tgdp.model.tokens import as_picture, grids, patchify
from tgdp.training.step import Batch

BETAS, WEIGHT_DECAY = (0.95, 0.999), 5e-7
"""Of Adam, trainer line 50."""


def check_plain(config: Config) -> None:
    """Refuse a configuration that the released way of working has no answer to.

    Raises:
        UserError: Which key stands in the way, and what it must be.
    """
    model, mask = config.model, config.contrastive.mask
    needed = (
        ("model.pooling", model.pooling == "cls", "cls"),
        ("model.joint_layers", model.joint_layers == 1, "1"),
        ("model.keep_registers", not model.keep_registers, "false"),
        ("model.contrastive_head_layers", model.contrastive_head_layers == 0, "0"),
        ("training.accumulation", config.training.accumulation == 1, "1"),
        ("reconstruction.weight", config.reconstructs, "above 0"),
        ("contrastive.weight", config.contrastive.weight > 0, "above 0"),
        ("contrastive.mask.selection", mask.selection in ("random", "guided"), "random or guided"),
        ("contrastive.mask.guided_share", mask.guided_share == 1, "1"),
        (
            "reconstruction.mask.audio_structure",
            {config.reconstruction.mask.audio_structure, mask.audio_structure} == {"none"},
            "none",
        ),
    )
    for key, is_right, choice in needed:
        if not is_right:
            raise UserError(f"--against plain: {key} must be {choice}; the released code differs")


def plain_losses(
    config: Config, student: Student, teacher: Encoder | None, batch: Batch, noise: Noise
) -> Losses:
    """Return the losses of one step.

    Args:
        config: The run, as `check_plain` allows it.
        student: Whose parameters are used.
        teacher: Its slow copy, or None.
        batch: Pairs.
        noise: Where the random numbers of the masks come from.

    Source: released lines 669 to 756; the distillation is published in words alone.
    """
    view = None if teacher is None else _look(config, teacher, batch, noise)
    # Released line 697: a full forward with every stream, although only the joint one is read.
    first = full_forward(
        student.encoder, *batch[:2], _random(config, "reconstruction", batch, noise)
    )
    audio, image, _pictures = _reconstruct(config, student, first, batch)
    seen = first
    if config.passes == "dual":
        # Released lines 712 to 717: and a second one, although only the CLS are read.
        seen = full_forward(
            student.encoder, *batch[:2], _contrastive_mask(config, view, batch, noise)
        )
    contrast, accuracy = info_nce(
        seen.vectors,
        temperature(config, student),
        two_way=config.contrastive.directions == "two_way",
    )
    part = config.reconstruction
    total = part.weight * (part.audio_weight * audio + part.image_weight * image)
    total = total + config.contrastive.weight * contrast
    distilled = None
    if view is not None and config.distills:
        distilled = _distil(config, seen.vectors, view.vectors)
        total = total + config.distillation.weight * distilled
    return Losses(total, audio, image, contrast, distilled, accuracy)


@dataclass
class PlainLearner:
    """What training changes, the plain way.

    Attributes:
        student: Trained by gradient.
        teacher: Its slow copy; None where the run has no teacher.
        optimizer: Over the student.
        scaler: Of the loss, for float16; does nothing on a CPU.
    """

    student: Student
    teacher: Encoder | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler


def build_plain(config: Config, device: torch.device) -> PlainLearner:
    """Return an untrained learner on a device.

    Raises:
        UserError: The configuration is not one that the released way of working can do.
    """
    check_plain(config)
    torch.manual_seed(config.seed)
    student = Student(config).to(device)
    # Gradients are tracked through the teacher: nothing in released lines 672 to 679 stops them.
    teacher = copy.deepcopy(student.encoder) if config.teacher.enabled else None
    trainable = [parameter for parameter in student.parameters() if parameter.requires_grad]
    # Trainer line 50: neither fused nor with groups.
    optimizer = torch.optim.Adam(
        trainable, config.training.learning_rate, weight_decay=WEIGHT_DECAY, betas=BETAS
    )
    # Trainer line 66.
    scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
    return PlainLearner(student, teacher, optimizer, scaler)


def take_plain_step(config: Config, learner: PlainLearner, batch: Batch) -> tuple[float, ...]:
    """Return the losses that the trainer notes, after one step taken in place.

    Args:
        config: The run.
        learner: Changed in place.
        batch: Pairs on the device.

    Source: trainer lines 91 to 105. Gradients are not clipped there.
    """
    device = batch.image.device

    def noise(_: str, num: int) -> Tensor:
        return torch.rand(len(batch.image), num, device=device)  # Released line 306

    # Trainer line 91: float16, which is what autocast takes on a GPU unless told otherwise.
    with torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda"):
        losses = plain_losses(config, learner.student, learner.teacher, batch, noise)
    learner.optimizer.zero_grad()
    learner.scaler.scale(losses.total).backward()
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()
    if learner.teacher is not None:
        with record_function("teacher update"):
            _follow(
                learner.teacher, learner.student.encoder, momentum(config.teacher, batch.moment)
            )
    # Trainer lines 102 to 105: four numbers are fetched at every step.
    parts = losses.total, losses.reconstruction_audio, losses.reconstruction_image
    return tuple(part.item() for part in (*parts, losses.contrastive) if part is not None)


@torch.no_grad()
def _follow(teacher: Encoder, student: Encoder, momentum: float) -> None:
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        slow.data.mul_(momentum).add_(fast.data, alpha=1 - momentum)


def _reconstruct(
    config: Config, student: Student, first: Streams, batch: Batch
) -> tuple[Tensor, Tensor, Pair]:
    predicted = decode(student.decoder, first.joint, first.masked)
    sides = config.model.audio_patch, config.model.image_patch
    targets = patchify(as_picture(batch.audio), sides[0]), patchify(batch.image, sides[1])
    audio, image = (
        pixel_loss(config, target, pixels, one.hidden)
        for target, pixels, one in zip(targets, predicted, first.masked, strict=True)
    )
    return audio, image, rebuild_pictures(predicted, grids(config), sides)


def _distil(config: Config, student: Pair, teacher: Pair) -> Tensor:
    part = config.distillation
    sound, sight = (
        distillation_loss(ours, theirs, part.form, normalize=part.normalize)
        for ours, theirs in zip(student, teacher, strict=True)
    )
    return sound + sight


def _look(config: Config, teacher: Encoder, batch: Batch, noise: Noise) -> View:
    def shuffled(tokens: Tensor, modality: Modality) -> Masked:
        # Released lines 427 to 436 with line 673: nothing is hidden, but the tokens are shuffled.
        draws = noise(f"mask/teacher/{modality}", tokens.shape[1])
        return mask_by_order(tokens, torch.argsort(draws, dim=1), 0.0)

    is_column = config.contrastive.mask.attention == "patch_to_cls"
    return teacher_forward(teacher, *batch[:2], shuffled, is_column=is_column)


def _random(config: Config, path: Path, batch: Batch, noise: Noise) -> Mask:
    part = config.reconstruction if path == "reconstruction" else config.contrastive
    ratios = mask_ratios(part.mask, batch.moment, config.seed, path)._asdict()

    def mask(tokens: Tensor, modality: Modality) -> Masked:
        draws = noise(f"mask/{path}/{modality}", tokens.shape[1])
        return mask_by_order(tokens, torch.argsort(draws, dim=1), ratios[modality])

    return mask


def _contrastive_mask(config: Config, view: View | None, batch: Batch, noise: Noise) -> Mask:
    part = config.contrastive.mask
    if view is None or not is_guided(part, batch.moment):
        return _random(config, "contrastive", batch, noise)
    ratios = mask_ratios(part, batch.moment, config.seed, "contrastive")._asdict()
    attention = view.attention._asdict()

    def mask(tokens: Tensor, modality: Modality) -> Masked:
        ranks = torch.argsort(attention[modality], dim=1, descending=True)  # Released line 402
        return mask_by_order(tokens, ranks, ratios[modality])

    return mask
