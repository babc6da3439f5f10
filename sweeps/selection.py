"""By what rule should the visible patches be chosen? Chance, the teacher, and the released way."""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

RULE, DIRECTION = "contrastive.mask.selection", "contrastive.mask.attention"
SHARE, WARMUP = "contrastive.mask.guided_share", "contrastive.mask.warmup_epochs"

SWEEP = Sweep(
    name="selection",
    title="Selection of the visible patches",
    question="Does it matter which half of the patches the contrastive path sees?",
    source="ablation: mask selection in the contrastive branch (0.50)",
    common={
        "contrastive.mask.ratio": 0.5,
        "teacher.enabled": True,
        "distillation.weight": 1.0,
    },
    variants=(
        Variant("random", {RULE: "random"}, "TG-DP random mask"),
        Variant(
            "guided, CLS to patch",
            {RULE: "guided", DIRECTION: "cls_to_patch"},
            "TG-DP guided deterministic top-k",
        ),
        Variant("guided, patch to CLS", {RULE: "guided", DIRECTION: "patch_to_cls"}),
        Variant("sampled", {RULE: "sampled"}, "TG-DP guided probabilistic (Gumbel)"),
        Variant("as released (shuffled)", {RULE: "guided_shuffled", DIRECTION: "patch_to_cls"}),
        Variant("guided, half by chance", {RULE: "guided", SHARE: 0.5}),
        Variant("guided from epoch 6 on", {RULE: "guided", WARMUP: 6}),
    ),
    metrics=RETRIEVAL,
)
