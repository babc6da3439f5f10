"""One run: its sections in one configuration, and what says how long and where it is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tgdp.config.checks import contradiction
from tgdp.config.fields import Section, added, runtime
from tgdp.config.inputs import DataConfig, InitConfig, ModelConfig
from tgdp.config.method import (
    ContrastiveConfig,
    DistillationConfig,
    ReconstructionConfig,
    TeacherConfig,
)

LARGEST_SEED = 2**63 - 1
"""The draws hash 64-bit integers."""


class TrainingConfig(Section):
    """Optimiser, length and batch (method section 3: mostly published nowhere)."""

    batch_size: int = Field(
        default=512, ge=2, description="pairs a step; fewer where the data has fewer"
    )
    epochs: int | None = Field(default=None, ge=1, description="length in passes over the data, or")
    steps: int | None = Field(default=None, ge=1, description="length in optimiser steps")
    optimizer: Literal["adam", "adamw"] = "adamw"
    accumulation: int = added(
        1, "parts that a step's pairs are computed in, each with negatives of its own only", ge=1
    )
    learning_rate: float = Field(default=2e-4, gt=0, description="the highest of the schedule")
    learning_rate_batch: int | None = added(
        None, "pairs that the rate is meant for; it is scaled in proportion to the batch", ge=2
    )
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    weight_decay: float = Field(default=0.05, ge=0, description="not on norms, biases and tokens")
    warmup: float = Field(
        default=0.1, ge=0, le=1, description="share of the steps with a rising rate"
    )
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    decay_start: float = added(
        0.4, "'step': share of the steps after which the rate falls first", gt=0, lt=1
    )
    decay_every: float = added(0.2, "'step': share of the steps between two falls", gt=0, lt=1)
    decay_factor: float = added(0.5, "'step': what a fall multiplies the rate by", gt=0, lt=1)
    clip_norm: float = Field(
        default=1.0, gt=0, description="gradient norm above which it is scaled down"
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="autocast type; 'float16' with a loss scaler"
    )
    residual: Literal["float32", "bfloat16"] = added(
        "float32", "type of the tokens that layers add to; 'bfloat16' moves half the memory"
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
    """Where and how fast; nothing here can change a number by more than rounding."""

    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    num_workers: int = Field(default=0, ge=0, description="loader processes, of each rank")
    prefetch: int = Field(default=4, ge=1, description="batches a loader process works ahead")
    threads: int | None = Field(
        default=None, ge=1, description="CPU threads of the process; all if unset"
    )
    compile: bool = Field(default=False, description="torch.compile of the transformer layers")
    cuda_graphs: bool = Field(
        default=False, description="a step's kernels are recorded once and started as a whole"
    )
    activation_checkpointing: bool = Field(
        default=False, description="layers are computed again backwards: less memory, more time"
    )
    log_every: int = Field(default=10, ge=1, description="steps between metric lines")
    save_every: int = Field(default=100, ge=1, description="steps between checkpoints")
    keep_every: int | None = Field(
        default=None, ge=1, description="epochs between checkpoints that stay for good"
    )
    evaluate_every: int | None = Field(
        default=None, ge=1, description="epochs between evaluations; the best checkpoint is kept"
    )
    nonfinite_limit: int = Field(
        default=3, ge=1, description="steps in a row without a finite gradient that end a run"
    )
    profile: bool = Field(
        default=False, description="write a trace of a few steps and the costliest operations"
    )


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
