"""How much should the contrastive path see? The share of patches hidden from it, 0 to 75 %."""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep(
    name="masking",
    title="Contrastive mask ratio",
    question="How much should the contrastive path see, with reconstruction fixed at 75 %?",
    source="ablation: contrastive masking ratio (reconstruction fixed 75%)",
    key="contrastive.mask.ratio",
    variants=(
        Variant("0.00", {"contrastive.mask.ratio": 0.0}, "TG-DP contrastive mask 0.00"),
        Variant("0.25", {"contrastive.mask.ratio": 0.25}),
        Variant("0.50", {"contrastive.mask.ratio": 0.5}, "TG-DP contrastive mask 0.50"),
        Variant("0.65", {"contrastive.mask.ratio": 0.65}, "TG-DP contrastive mask 0.65"),
        Variant("0.75", {"contrastive.mask.ratio": 0.75}, "TG-DP contrastive mask 0.75"),
    ),
    metrics=RETRIEVAL,
)
