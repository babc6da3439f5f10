"""In what form should the student follow the teacher's vectors, and how closely?"""

from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

WEIGHT, FORM = "distillation.weight", "distillation.form"

SWEEP = Sweep(
    name="distillation",
    title="Distillation",
    question="Which distance to the teacher's vectors, at what weight? The paper says squared L2.",
    source="ablation: distillation on/off (contrastive mask 0.50)",
    common={
        "contrastive.mask.ratio": 0.5,
        "contrastive.mask.selection": "guided",
        "teacher.enabled": True,
    },
    variants=(
        Variant("off", {WEIGHT: 0.0}, "TG-DP without distillation"),
        Variant("squared L2, weight 0.1", {WEIGHT: 0.1}),
        Variant("squared L2, weight 1", {WEIGHT: 1.0}, "TG-DP with distillation"),
        Variant("squared L2, weight 10", {WEIGHT: 10.0}),
        Variant("mean over the width", {WEIGHT: 1.0, FORM: "squared_l2_mean"}),
        Variant(
            "mean over the width, raw vectors",
            {WEIGHT: 1.0, FORM: "squared_l2_mean", "distillation.normalize": False},
        ),
        Variant("cosine", {WEIGHT: 1.0, FORM: "cosine"}),
    ),
    metrics=RETRIEVAL,
)
