"""What a student starts from: chance, an ImageNet MAE, or a file of an MAE or a CAV-MAE."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tgdp.config import Config, ModelConfig
from tgdp.errors import UserError
from tgdp.model.content import sha256_of
from tgdp.model.dual_path import Student
from tgdp.model.released.mae import MARK, Start, check_sizes, from_mae
from tgdp.model.released.names import from_released
from tgdp.model.released.read import examine, read_state
from tgdp.model.released.sizes import NEEDED, Sizes, sizes_of_config

TIMM_MAE = "vit_base_patch16_224.mae"
TIMM_MAE_SIZES = {"model.width": 768, "model.num_heads": 12}
"""Checked before anything is downloaded; heads because no shape tells them."""
LICENCE = "CC BY-NC 4.0, for non-commercial use only"

OWN_START = ("cls_token", "register_tokens", "modality", ".heads.", "log_temperature")
"""Parts that keep their own initial value where the start weights do not hold them."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Initialised:
    """What became of every weight.

    Attributes:
        source: What was started from, in words.
        taken: Our names that were set.
        kept: Our names that kept their own initial value.
        left_out: Names of the source that are not used, each with its reason.
    """

    source: str
    taken: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: Mapping[str, str]

    def __str__(self) -> str:
        decoder = any(name.startswith("decoder.") for name in self.taken)
        others = [name for name in self.kept if decoder or not name.startswith("decoder.")]
        return (
            f"starts from {self.source}: {len(self.taken)} weights set, "
            f"{'with' if decoder else 'without'} the decoder; at their own initial value: "
            f"{', '.join(others) or 'none'}{'' if decoder else ', and the decoder'}"
        )


def initialise(student: Student, config: Config) -> Initialised | None:
    """Set a student's weights to what its run starts from; None from scratch.

    Args:
        student: Changed in place.
        config: The run; `init` says where the weights come from.

    Raises:
        UserError: The weights cannot be had, are not what `init.sha256` says, or do not fit.

    Source: method as in CAV-MAE section 3.1; the mapping is in `released.mae`.
    """
    if config.init.source == "scratch":
        return None
    if config.init.source == "imagenet_mae":
        source = f"timm {TIMM_MAE}"
        start = from_mae(_from_timm(config.model), config.model, source)
    else:
        path = _checked_file(config)
        source = f"init.file {path}"
        start = _from_file(read_state(path), config, source)
    done = _apply(student, start, source)
    # A warning, because Python shows nothing below it unless a program says so.
    logger.warning("%s", done)
    return done


def _from_timm(model: ModelConfig) -> dict[str, Tensor]:
    import timm

    own = {"model.width": model.width, "model.num_heads": model.num_heads}
    check_sizes({key: (TIMM_MAE_SIZES[key], own[key]) for key in own}, f"timm {TIMM_MAE}")
    logger.warning("init.source imagenet_mae: the weights of timm %s are %s", TIMM_MAE, LICENCE)
    try:
        return timm.create_model(TIMM_MAE, pretrained=True).state_dict()
    # No network, no cache, a full disk, a server's answer: timm and its hub raise many classes.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise UserError(
            f"init.source imagenet_mae: timm could not fetch {TIMM_MAE} ({reason}). Without a "
            "network, download the file elsewhere and give it with --set init.source=file "
            "--set init.file=FILE"
        ) from error


def _checked_file(config: Config) -> Path:
    path, expected = config.init.file, config.init.sha256
    if path is None:
        raise UserError(f"init.file: not given; the run starts from the file of SHA-256 {expected}")
    found = sha256_of(path)
    if expected and found != expected:
        raise UserError(
            f"init.file {path}: its content is not what the run is named by: SHA-256 {found}, "
            f"init.sha256 is {expected}"
        )
    return path


def _from_file(state: Mapping[str, Tensor], config: Config, where: str) -> Start:
    if MARK in state:
        return from_mae(state, config.model, where)
    if NEEDED[0] in state:
        return _from_cav_mae(state, config, where)
    raise UserError(
        f"{where}: neither a state dict of an MAE nor one of CAV-MAE, CAV-MAE Sync or TG-DP: "
        f"it holds {', '.join(list(state)[:3])}, ..."
    )


def _from_cav_mae(state: Mapping[str, Tensor], config: Config, where: str) -> Start:
    """Return the weights of a CAV-MAE style file that a model has a place for."""
    released = examine(state, where)
    if problems := released.report.problems:
        name = next(iter(problems))
        raise UserError(
            f"{where}: {len(problems)} names are not explained: {name}: {problems[name]}"
        )
    theirs, ours = released.sizes, sizes_of_config(config)
    check_sizes(_cav_mae_sizes(theirs, ours), where)
    left_out = dict(released.report.unexpected)
    if theirs.has_cls and not ours.has_cls:
        reason = "model.pooling is 'mean': there is no CLS"
        left_out |= {"cls_token_a": reason, "cls_token_v": reason}
    if theirs.num_registers and not ours.num_registers:
        left_out["register_tokens"] = "model.num_registers is 0"
    taken = {name: state[name] for name in released.report.loaded if name not in left_out}
    weights = {name: value for name, value in from_released(taken).items() if value.numel()}
    return Start(weights, left_out)


def _cav_mae_sizes(theirs: Sizes, ours: Sizes) -> dict[str, tuple[int, int]]:
    sizes = {
        "model.width": (theirs.width, ours.width),
        "model.modality_layers": (theirs.modality_layers, ours.modality_layers),
        "model.joint_layers": (theirs.joint_layers, ours.joint_layers),
        "model.width * model.mlp_ratio": (theirs.hidden, ours.hidden),
        "model.audio_patch": (theirs.patch[0], ours.patch[0]),
        "model.image_patch": (theirs.patch[1], ours.patch[1]),
    }
    if theirs.num_registers and ours.num_registers:
        sizes["model.num_registers"] = (theirs.num_registers, ours.num_registers)
    if theirs.head_layers:
        sizes["model.contrastive_head_layers"] = (theirs.head_layers, ours.head_layers)
    if theirs.decoder_width is not None and ours.decoder_width is not None:
        sizes["model.decoder.width"] = (theirs.decoder_width, ours.decoder_width)
        sizes["model.decoder.num_layers"] = (theirs.decoder_layers, ours.decoder_layers)
    return sizes


def _apply(student: Student, start: Start, source: str) -> Initialised:
    own = student.state_dict()
    kept = [name for name, value in own.items() if name not in start.weights and value.numel()]
    with_decoder = any(name.startswith("decoder.") for name in start.weights)
    lacking = [name for name in kept if not _may_keep(name, with_decoder)]
    if lacking:
        raise UserError(f"{source}: incomplete: nothing in it is for {', '.join(lacking[:5])}")
    with torch.no_grad():
        for name, value in start.weights.items():
            if name not in own or own[name].shape != value.shape:
                found = tuple(own[name].shape) if name in own else "none"
                raise UserError(
                    f"{source}: {name} would be {tuple(value.shape)}, the model's is {found}"
                )
            own[name].copy_(value)
    return Initialised(source, tuple(start.weights), tuple(kept), start.left_out)


def _may_keep(name: str, with_decoder: bool) -> bool:
    if name.startswith("decoder.") and not with_decoder:
        return True
    return any(part in name for part in OWN_START)
