"""What the embedded benchmark consists of, known before a single clip is made."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tgdp.data.card import PrepareSettings, fingerprint

GENERATOR = "tgdp-synth/v1"
"""Raised when the same seed gives other clips; it enters the fingerprint of the data."""

SHAPES = ("disc", "square", "triangle", "cross")
HUES = ("red", "green", "cyan", "blue")
CLASSES = tuple(f"{hue} {shape}" for shape in SHAPES for hue in HUES)
"""16 classes: shape x hue bin; their mids are `syn_0` .. `syn_15`."""

LabelSet = Literal["single", "multi"]


class SynthSpec(BaseModel):
    """The knobs of the generator; equal specs give equal clips."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=0, ge=0)
    clips: int = Field(
        default=2000, ge=16, description="training clips; the other splits follow from it"
    )
    seconds: float = Field(default=1.1, ge=1.0, le=60.0, description="length of a clip")
    size: int = Field(
        default=48, ge=32, le=512, multiple_of=2, description="side of the picture, pixels"
    )
    fps: int = Field(default=15, ge=2, le=60)
    noise: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="semantic noise: distractors, texture, hum, hiss, silence",
    )

    @property
    def name(self) -> str:
        """Dataset name, as it stands in metric names."""
        return "embedded"

    @property
    def splits(self) -> dict[str, int]:
        """Number of clips of every split; no clip is in two of them."""
        few = max(16, self.clips // 16)
        return {
            "train": self.clips,
            "retrieval": max(16, self.clips // 4),
            "probe_train": few,
            "probe_test": few,
            "multi_train": few,
            "multi_retrieval": few,
            "multi_probe_train": few,
            "multi_probe_test": few,
        }

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the prepared data, known before a clip is made."""
        return fingerprint(EMBEDDED_STORAGE, source=self.source)

    @property
    def source(self) -> dict[str, object]:
        """What identifies the clips in a manifest."""
        return {"generator": GENERATOR, **self.model_dump()}


EMBEDDED_STORAGE = PrepareSettings(audio="wav")
"""How the benchmark is stored: WAV, because decoding FLAC would take longer than the rest."""

EMBEDDED = SynthSpec()
"""The benchmark that `tgdp-sweep masking` makes and uses when it is given no data."""
