"""What a probe measured, with everything that a number needs beside it to be believed."""

from dataclasses import dataclass
from typing import Any

from tgdp.evaluation.probe.intervals import Interval


@dataclass(frozen=True)
class ProbeResult:
    """What a probe measured, and everything it was counted over.

    Attributes:
        protocol: Name and version.
        settings: As asked for, with the learning rates that were tried.
        n: Test clips.
        num_train: Training clips; all of them train the probes that are tested.
        classes: Classes of the label list.
        classes_present: Classes with a positive test clip.
        classes_ranked: Classes with positive and negative test clips: those of AUC and d'.
        missing: Clips without features, by `train` and `test`.
        width: Input width of the probe.
        num_heads: Heads of its layers; None for the linear probe.
        parameters: Numbers it learns.
        steps: Steps of each tested probe.
        rate: Learning rate chosen.
        rate_scores: What each rate was worth on held-out training clips; None: diverged.
        num_held_out: How many those were.
        is_rate_at_edge: Whether the rate is the first or the last of several: a wider grid might
            do better.
        values: Every metric, one value a seed, in the order of the seeds.
        metrics: Mean over the seeds.
        sd: Standard deviation over the seeds; None with one seed.
        intervals: 95 % bootstrap intervals over the test clips, of the mean over the seeds.
        per_class: Average precision, and Top-1 with one label a clip, of each class present.
    """

    protocol: str
    settings: dict[str, Any]
    n: int
    num_train: int
    classes: int
    classes_present: int
    classes_ranked: int
    missing: dict[str, list[str]]
    width: int
    num_heads: int | None
    parameters: int
    steps: int
    rate: float
    rate_scores: dict[float, float | None]
    num_held_out: int
    is_rate_at_edge: bool
    values: dict[str, list[float]]
    metrics: dict[str, float]
    sd: dict[str, float | None]
    intervals: dict[str, Interval]
    per_class: list[dict[str, Any]]
