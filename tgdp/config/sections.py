"""The fields of a configuration, section by section, each with its valid range.

A field that only says where or how fast a run is computed is declared with `runtime(...)`; every
other one is science and part of the run's name.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from tgdp.config.checks import contradiction

RUNTIME: dict[str, JsonValue] = {"runtime": True}

LARGEST_WEIGHT = 1e6
"""Of a loss. Two of them multiply, and the norm of the gradient still fits float32."""

LARGEST_SEED = 2**63 - 1
"""The draws hash 64-bit integers."""


def runtime(default: Any, description: str, **limits: Any) -> Any:
    """Declare a field that cannot change a result, so that it stays out of the signature."""
    return Field(default, description=description, json_schema_extra=RUNTIME, **limits)


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys, wrong types, inf and nan."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataConfig(Section):
    """Which clips, and how a clip becomes a picture and a stretch of spectrogram."""

    name: str = Field(
        default="embedded", pattern=r"^[a-z0-9_-]+$", description="used in metric names"
    )
    fingerprint: str = Field(default="", description="content of the prepared folder; read from it")
    train_split: str = Field(default="train", description="split that pre-training reads")
    image_size: int = Field(
        default=224, ge=8, le=1024, description="side of the square picture, pixels"
    )
    audio: Literal["segment", "clip"] = Field(
        default="segment",
        description="'segment': the sound around one frame; 'clip': all of it, whatever the frame",
    )
    segment_steps: int = Field(
        default=416, ge=16, le=1024, description="spectrogram steps beside one frame (10 ms)"
    )
    clip_steps: int = Field(
        default=1024,
        ge=16,
        le=4096,
        description="steps a whole clip is cut or padded to (audio 'clip', timing 'upstream')",
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

    @property
    def audio_steps(self) -> int:
        """Spectrogram steps that the model sees at once."""
        return self.segment_steps if self.audio == "segment" else self.clip_steps


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
    pooling: Literal["cls", "mean"] = Field(
        default="cls", description="global vector: a CLS token, or the mean of the patches (no CLS)"
    )
    num_registers: int = Field(default=8, ge=0, le=64, description="register tokens per modality")
    keep_registers: bool = Field(
        default=False,
        description="they pass through the joint layers and heads too, and are dropped behind them",
    )
    contrastive_head_layers: int = Field(
        default=0, ge=0, le=4, description="layers behind the joint ones, contrastive path only"
    )
    image_patch: int = Field(default=16, ge=1, description="side of a picture patch, pixels")
    audio_patch: int = Field(
        default=16, ge=1, description="side of a spectrogram patch, steps and bins"
    )
    decoder: DecoderConfig = DecoderConfig()


class InitConfig(Section):
    """What the student starts from (method section 2)."""

    source: Literal["scratch", "imagenet_mae", "file"] = Field(
        default="scratch",
        description="'imagenet_mae': ViT-B from timm (CC BY-NC 4.0), encoder only; "
        "'file': an MAE or CAV-MAE style state dict, with its decoder if it has one",
    )
    sha256: str = Field(
        default="",
        pattern=r"^([0-9a-f]{64})?$",
        description="content of the file; read from it",
    )
    file: Path | None = runtime(None, "state dict to start from")


class MaskConfig(Section):
    """What one pass hides, and how that changes over the run."""

    ratio: float = Field(default=0.75, ge=0, lt=1, description="share of the patches hidden")
    audio_ratio: float | None = Field(
        default=None, ge=0, lt=1, description="of the spectrogram, where it differs from ratio"
    )
    image_ratio: float | None = Field(
        default=None, ge=0, lt=1, description="of the picture, where it differs from ratio"
    )
    schedule: Literal["constant", "linear", "cosine", "uniform"] = Field(
        default="constant",
        description="'linear', 'cosine': from from_ratio at the first step to ratio at the last; "
        "'uniform': anew each step between the two",
    )
    from_ratio: float | None = Field(
        default=None, ge=0, lt=1, description="where a schedule starts, both modalities"
    )
    audio_structure: Literal["none", "time", "freq", "both"] = Field(
        default="none", description="whole columns or rows of the spectrogram hidden first"
    )

    def final(self, modality: Literal["audio", "image"]) -> float:
        """Return the ratio of a modality at the end of the schedule."""
        own = self.audio_ratio if modality == "audio" else self.image_ratio
        return self.ratio if own is None else own

    def reached(self, modality: Literal["audio", "image"]) -> tuple[float, ...]:
        """Return the lowest and the highest ratio that a run comes to."""
        ends = [self.final(modality)] + ([] if self.from_ratio is None else [self.from_ratio])
        return min(ends), max(ends)


class ReconstructionConfig(Section):
    """Masked-patch reconstruction (method section 3.1)."""

    mask: MaskConfig = MaskConfig()
    weight: float = Field(default=1.0, ge=0, le=LARGEST_WEIGHT)
    audio_weight: float = Field(
        default=1.0, ge=0, le=LARGEST_WEIGHT, description="of the spectrogram's error"
    )
    image_weight: float = Field(
        default=1.0, ge=0, le=LARGEST_WEIGHT, description="of the picture's error"
    )
    pixel_norm: bool = Field(default=False, description="targets normalised per patch")


class ContrastiveMask(MaskConfig):
    """What the contrastive pass hides, and by what rule (method section 3.3)."""

    ratio: float = Field(default=0.5, ge=0, lt=1, description="share of the patches hidden")
    selection: Literal["random", "guided", "sampled", "guided_shuffled"] = Field(
        default="guided",
        description="'guided': the patches the teacher ranks highest stay visible; 'sampled': "
        "drawn in proportion to that; 'guided_shuffled': as the released code does",
    )
    attention: Literal["patch_to_cls", "cls_to_patch"] = Field(
        default="cls_to_patch", description="teacher attention that ranks the patches"
    )
    guided_share: float = Field(
        default=1.0, gt=0, le=1, description="of the visible patches; the others are random"
    )
    warmup_steps: int = Field(default=0, ge=0, description="random selection before this step, or")
    warmup_epochs: int = Field(default=0, ge=0, description="random selection before this epoch")


class ContrastiveConfig(Section):
    """InfoNCE between the two global vectors (method section 3.3)."""

    mask: ContrastiveMask = ContrastiveMask()
    weight: float = Field(
        default=0.01,
        ge=0,
        le=LARGEST_WEIGHT,
        description="published nowhere; CAV-MAE 0.01, Sync 0.1",
    )
    temperature: float = Field(
        default=0.05, ge=0.01, le=100, description="fixed, or where learning starts"
    )
    learned_temperature: bool = Field(default=False, description="a parameter, not below 0.01")
    directions: Literal["two_way", "one_way"] = Field(
        default="two_way", description="'one_way': each picture looks for its sound (released code)"
    )
    negatives: Literal["gathered", "local"] = Field(
        default="gathered", description="of all ranks, with gradients, or of the own rank alone"
    )


class TeacherConfig(Section):
    """The EMA copy of the student that sees everything (method section 3.2)."""

    enabled: bool = True
    momentum: float = Field(default=0.999, ge=0, le=1, description="published nowhere: ours")
    momentum_schedule: Literal["constant", "cosine"] = Field(
        default="constant", description="'cosine': rises to 1 at the last step"
    )


class DistillationConfig(Section):
    """Between student and teacher global vectors, both modalities (method section 3.4)."""

    weight: float = Field(
        default=1.0, ge=0, le=LARGEST_WEIGHT, description="0 is off; published nowhere: ours"
    )
    form: Literal["squared_l2_sum", "squared_l2_mean", "cosine"] = Field(
        default="squared_l2_sum", description="over the width; which one is published nowhere"
    )
    normalize: bool = Field(
        default=True, description="vectors scaled to length 1 first; published nowhere"
    )


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

    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    passes: Literal["dual", "single"] = Field(
        default="dual",
        description="'dual': one for reconstruction, one for contrast; 'single': one for both",
    )
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    init: InitConfig = InitConfig()
    reconstruction: ReconstructionConfig = ReconstructionConfig()
    contrastive: ContrastiveConfig = ContrastiveConfig()
    teacher: TeacherConfig = TeacherConfig()
    distillation: DistillationConfig = DistillationConfig()
    training: TrainingConfig
    evaluation: EvaluationConfig = EvaluationConfig()
    runtime: RuntimeConfig = runtime(RuntimeConfig(), "where and how fast")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problem = contradiction(self)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def reconstructs(self) -> bool:
        """Whether anything comes of predicting the hidden patches."""
        part = self.reconstruction
        return part.weight > 0 and part.audio_weight + part.image_weight > 0

    @property
    def contrasts(self) -> bool:
        """Whether anything comes of the student's global vectors."""
        return self.contrastive.weight > 0 or self.distills

    @property
    def distills(self) -> bool:
        """Whether anything comes of the teacher's global vectors."""
        return self.distillation.weight > 0

    @property
    def is_guided(self) -> bool:
        """Whether the teacher has a say in what the contrastive pass sees."""
        return self.contrastive.mask.selection != "random"
