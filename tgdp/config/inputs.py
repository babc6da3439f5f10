"""What the model reads, what it is built of and what it starts from."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from tgdp.config.fields import Section, added, runtime


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
    augment_image: bool = added(
        False, "training pictures are random crops, half of them mirrored (released loader)"
    )
    roll_audio: float = added(
        0.0,
        "training segments are rolled in time by at most this share of them, either way",
        ge=0,
        le=1,
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
