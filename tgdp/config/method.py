"""The method: what each pass hides, what the losses weigh, what the teacher is for."""

from typing import Literal

from pydantic import Field

from tgdp.config.fields import Section

LARGEST_WEIGHT = 1e6
"""Of a loss. Two of them multiply, and the norm of the gradient still fits float32."""


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
