"""Should the contrastive mask ratio change during training? Equal mean, different order."""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

LOW, HIGH = 0.25, 0.75


def moving(schedule: str, start: float, end: float) -> dict[str, object]:
    """Return the changes that let the ratio move from one value to another."""
    mask = "contrastive.mask"
    return {f"{mask}.schedule": schedule, f"{mask}.from_ratio": start, f"{mask}.ratio": end}


SWEEP = Sweep(
    name="curriculum",
    title="Curriculum of the contrastive mask ratio",
    question="With 50 % hidden on average, is it better to start easy, to start hard, or neither?",
    source="",  # The paper names this as future work.
    variants=(
        Variant("50 % throughout", {"contrastive.mask.ratio": 0.5}),
        Variant("linear, 75 to 25 %", moving("linear", HIGH, LOW)),
        Variant("linear, 25 to 75 %", moving("linear", LOW, HIGH)),
        Variant("cosine, 75 to 25 %", moving("cosine", HIGH, LOW)),
        Variant("any of 25 to 75 %", moving("uniform", LOW, HIGH)),
    ),
    metrics=RETRIEVAL,
)
