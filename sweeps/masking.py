"""How much should the contrastive path see? The share of patches hidden from it, 0 to 75 %."""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep(
    name="masking",
    title="Contrastive mask ratio",
    question="How much should the contrastive path see, with reconstruction fixed at 75 %?",
    source="ablation: contrastive masking ratio (reconstruction fixed 75%)",
    key="contrastive.mask.ratio",
    variants=tuple(
        Variant(
            f"{ratio:.2f}",
            {"contrastive.mask.ratio": ratio},
            f"TG-DP contrastive mask {ratio:.2f}",
        )
        for ratio in (0.0, 0.2, 0.5, 0.65, 0.75)
    ),
    metrics=RETRIEVAL,
)
