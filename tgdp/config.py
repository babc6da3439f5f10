"""What a run is: one frozen, fully resolved configuration, and the signature that names it.

Every field that can change a number is *science* and enters the signature. A field that only says
where or how fast a run is computed is declared with `runtime(...)` and stays out of it.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from tgdp.errors import UserError, unknown_name

SIGNATURE_VERSION = 1
"""Raised when the way a signature is computed changes; it enters every signature."""


_RUNTIME: dict[str, JsonValue] = {"runtime": True}


def runtime(default: Any, description: str, **limits: Any) -> Any:
    """Declare a field that cannot change a result, so that it stays out of the signature."""
    return Field(default, description=description, json_schema_extra=_RUNTIME, **limits)


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys and wrong types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DataConfig(Section):
    """Which clips, and how a clip becomes a picture and a stretch of spectrogram."""

    name: str = Field(
        default="embedded", pattern=r"^[a-z0-9_-]+$", description="used in metric names"
    )
    fingerprint: str = Field(default="", description="content of the prepared folder; read from it")
    train_split: str = Field(default="train", description="split that pre-training reads")
    image_size: int = Field(default=224, ge=8, description="side of the square picture, pixels")
    segment_steps: int = Field(
        default=416, ge=16, description="spectrogram steps beside one frame (10 ms)"
    )
    clip_steps: int = Field(
        default=1024, ge=16, description="steps a clip is cut or padded to ('upstream')"
    )
    timing: Literal["clip", "upstream"] = Field(
        default="clip",
        description="'clip': the segment is centred where its frame was shown; "
        "'upstream': on the released code's 10.24 s grid",
    )
    audio_mean: float = Field(default=-5.081, description="log-mel mean (released code)")
    audio_std: float = Field(
        default=4.4849, gt=0, description="log-mel standard deviation (released code)"
    )
    folder: Path | None = runtime(None, "prepared data folder")


class DecoderConfig(Section):
    """The light decoder of the reconstruction path (method section 2)."""

    width: int = Field(default=512, ge=8)
    num_layers: int = Field(default=8, ge=1)
    num_heads: int = Field(default=16, ge=1)


class ModelConfig(Section):
    """The student: two branches, a joint layer, a decoder (method section 2)."""

    width: int = Field(default=768, ge=8)
    num_heads: int = Field(default=12, ge=1)
    modality_layers: int = Field(default=11, ge=0, description="layers of each modality branch")
    joint_layers: int = Field(default=1, ge=1, description="shared layers; more than one chain")
    mlp_ratio: float = Field(default=4.0, gt=0)
    num_registers: int = Field(
        default=8, ge=0, description="per modality, dropped before the joint layer"
    )
    image_patch: int = Field(default=16, ge=1, description="side of a picture patch, pixels")
    audio_patch: int = Field(
        default=16, ge=1, description="side of a spectrogram patch, steps and bins"
    )
    decoder: DecoderConfig = DecoderConfig()


class ReconstructionMask(Section):
    """What the reconstruction pass hides."""

    ratio: float = Field(default=0.75, gt=0, lt=1, description="share of the patches hidden")


class ReconstructionConfig(Section):
    """Masked-patch reconstruction (method section 3.1)."""

    mask: ReconstructionMask = ReconstructionMask()
    weight: float = Field(default=1.0, ge=0)
    pixel_norm: bool = Field(default=False, description="targets normalised per patch")


class ContrastiveMask(Section):
    """What the contrastive pass hides, and by what rule (method section 3.3)."""

    ratio: float = Field(default=0.5, ge=0, lt=1, description="share of the patches hidden")
    selection: Literal["random", "guided"] = Field(
        default="guided", description="'guided': the patches the teacher ranks highest stay visible"
    )
    attention: Literal["patch_to_cls", "cls_to_patch"] = Field(
        default="cls_to_patch", description="teacher attention that ranks the patches"
    )


class ContrastiveConfig(Section):
    """InfoNCE between the two global vectors (method section 3.3)."""

    mask: ContrastiveMask = ContrastiveMask()
    weight: float = Field(
        default=0.01, ge=0, description="published nowhere; CAV-MAE 0.01, Sync 0.1"
    )
    temperature: float = Field(default=0.05, gt=0)


class TeacherConfig(Section):
    """The EMA copy of the student that sees everything (method section 3.2)."""

    enabled: bool = True
    momentum: float = Field(default=0.999, ge=0, le=1, description="published nowhere: ours")


class DistillationConfig(Section):
    """Squared L2 between student and teacher global vectors (method section 3.4)."""

    weight: float = Field(default=1.0, ge=0, description="published nowhere: ours")


class TrainingConfig(Section):
    """Optimiser, length and batch (method section 3: mostly published nowhere)."""

    batch_size: int = Field(
        default=512, ge=2, description="pairs a step; fewer where the data has fewer"
    )
    epochs: int | None = Field(default=None, ge=1, description="length in passes over the data, or")
    steps: int | None = Field(default=None, ge=1, description="length in optimiser steps")
    optimizer: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = Field(default=2e-4, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0, description="not on norms, biases and tokens")
    warmup: float = Field(
        default=0.1, ge=0, le=1, description="share of the steps with a rising rate"
    )
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = Field(
        default=1.0, gt=0, description="gradient norm above which it is scaled down"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="autocast type"
    )

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give the length as either training.steps or training.epochs")
        return self


class EvaluationConfig(Section):
    """What is measured once pre-training has ended (method section 4)."""

    protocol: Literal["retrieval/v1"] = "retrieval/v1"
    split: str = Field(default="retrieval", description="split whose clips are retrieved")


class RuntimeConfig(Section):
    """Where and how fast; nothing here can change a number."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    num_workers: int = Field(default=0, ge=0, description="loader processes")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of the process; all if unset"
    )
    log_every: int = Field(default=10, ge=1, description="steps between metric lines")
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints")


class Config(Section):
    """One run, resolved to the last field."""

    seed: int = Field(default=0, ge=0)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    teacher: TeacherConfig = TeacherConfig()
    distillation: DistillationConfig = DistillationConfig()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    runtime: RuntimeConfig = runtime(RuntimeConfig(), "where and how fast")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problem = _contradiction(self)
        if problem:
            raise ValueError(problem)
        return self


MEL_BINS = 128
"""Kaldi log-mel bins; the released front end knows no other number."""


def _contradiction(config: Config) -> str | None:
    problems = (*_sizes_that_do_not_fit(config), *_switches_that_contradict(config))
    return next((message for wrong, message in problems if wrong), None)


def _sizes_that_do_not_fit(config: Config) -> tuple[tuple[object, str], ...]:
    data, model, decoder = config.data, config.model, config.model.decoder
    image, audio = model.image_patch, model.audio_patch
    return (
        (data.image_size % image, "data.image_size must be a multiple of model.image_patch"),
        (data.segment_steps % audio, "data.segment_steps must be a multiple of model.audio_patch"),
        (MEL_BINS % audio, f"model.audio_patch must divide the {MEL_BINS} mel bins"),
        (model.width % model.num_heads, "model.width must be a multiple of model.num_heads"),
        (model.width % 4, "model.width must be a multiple of 4 (sine-cosine positions)"),
        (
            decoder.width % decoder.num_heads,
            "model.decoder.width must be a multiple of model.decoder.num_heads",
        ),
        (decoder.width % 4, "model.decoder.width must be a multiple of 4"),
    )


def _switches_that_contradict(config: Config) -> tuple[tuple[object, str], ...]:
    data, model, mask = config.data, config.model, config.contrastive.mask
    num_image = (data.image_size // model.image_patch) ** 2
    rows, columns = MEL_BINS // model.audio_patch, data.segment_steps // model.audio_patch
    fewest = min(num_image, rows * columns)
    hidden = config.reconstruction.mask.ratio
    teacher = config.teacher.enabled
    return (
        (
            mask.selection == "guided" and not teacher,
            "contrastive.mask.selection 'guided' needs teacher.enabled; "
            "choose 'random' or enable it",
        ),
        (
            config.distillation.weight > 0 and not teacher,
            "distillation.weight above 0 needs teacher.enabled; set it to 0 or enable the teacher",
        ),
        (
            num_kept(fewest, mask.ratio) < 1,
            f"contrastive.mask.ratio {mask.ratio} leaves none of {fewest} patches",
        ),
        (
            num_kept(fewest, hidden) < 1,
            f"reconstruction.mask.ratio {hidden} leaves none of {fewest} patches",
        ),
    )


def num_kept(num_tokens: int, ratio: float) -> int:
    """Return how many of the tokens stay visible at a mask ratio.

    Source: released code, `int(L * (1 - mask_ratio))`.
    """
    return int(num_tokens * (1 - ratio))


def to_dict(config: BaseModel) -> dict[str, Any]:
    """Return the configuration as plain JSON types, every field present."""
    return config.model_dump(mode="json")


def from_dict(data: Mapping[str, Any], where: str = "configuration") -> Config:
    """Return the configuration that the plain data describes.

    Args:
        data: Nested mapping as `to_dict` makes it.
        where: File or command that the data came from, for the error message.

    Raises:
        UserError: A key is unknown, a type is wrong or two fields contradict each other.
    """
    try:
        return Config.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise UserError(f"{where}: {_explain(error)}") from error


def load(path: Path) -> Config:
    """Return the configuration stored in a YAML file.

    Raises:
        UserError: The file is absent, is not YAML or does not describe a configuration.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such configuration file") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML ({error})") from error
    return from_dict(data, str(path))


def dump(config: Config) -> str:
    """Return the configuration as YAML text that `load` reads back unchanged."""
    return yaml.safe_dump(to_dict(config), sort_keys=False)


def override(config: Config, changes: Mapping[str, Any], where: str = "--set") -> Config:
    """Return a copy with some fields changed.

    Args:
        config: What to start from.
        changes: Dotted key to new value, for example `{"contrastive.mask.ratio": 0.65}`.
        where: Who asked for the change, for the error message.

    Raises:
        UserError: A key does not exist (the nearest is suggested) or a value is not valid.
    """
    data, valid = to_dict(config), keys(config)
    for key, value in changes.items():
        *parents, leaf = key.split(".")
        if key not in valid:
            raise UserError(f"{where}: {unknown_name('key', key, valid)}")
        section = data
        for parent in parents:
            section = section[parent]
        section[leaf] = value
    return from_dict(data, where)


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Return `key=value` words as typed changes for `override`.

    Raises:
        UserError: A word has no `=`.
    """
    changes: dict[str, Any] = {}
    for word in assignments:
        key, separator, text = word.partition("=")
        if not separator or not key:
            raise UserError(f"--set {word}: expected key=value, as in --set training.steps=100")
        changes[key.strip()] = _parse_value(text)
    return changes


def keys(config: BaseModel) -> list[str]:
    """Return the dotted name of every field that can be set."""
    names: list[str] = []
    for name in type(config).model_fields:
        value = getattr(config, name)
        below = [f"{name}.{key}" for key in keys(value)] if isinstance(value, BaseModel) else [name]
        names.extend(below)
    return names


def flatten(config: BaseModel) -> dict[str, Any]:
    """Return every field by its dotted name, in plain JSON types."""
    flat: dict[str, Any] = {}
    for name in keys(config):
        value: Any = config
        for part in name.split("."):
            value = getattr(value, part)
        flat[name] = str(value) if isinstance(value, Path) else value
    return flat


def science(config: BaseModel) -> dict[str, Any]:
    """Return the fields that can change a number, nested, without those declared `runtime`."""
    kept: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        if field.json_schema_extra == _RUNTIME:
            continue
        value = getattr(config, name)
        kept[name] = science(value) if isinstance(value, BaseModel) else value
    return kept


def signature(config: Config) -> str:
    """Return the name of the run: a hash of everything that can change its numbers."""
    return _digest(science(config))


def pretrain_signature(config: Config) -> str:
    """Return the name of the checkpoint: the same hash without what is evaluated afterwards."""
    kept = science(config)
    del kept["evaluation"]
    return _digest(kept)


def _digest(data: Mapping[str, Any]) -> str:
    text = json.dumps([SIGNATURE_VERSION, data], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _parse_value(text: str) -> Any:
    value = yaml.safe_load(text)
    # YAML 1.1 reads 1e-4 as a string, because it has no dot; people write it all the time.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _explain(error: ValidationError) -> str:
    lines: list[str] = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        got = "" if not field else f" (got {problem['input']!r})"
        lines.append(f"{field}: {message}{got}" if field else message)
    return "; ".join(lines)
