"""What is the teacher good for? Off, guiding the mask, being distilled from, both."""

from tgdp.presets import NO_TEACHER, WITH_TEACHER
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SELECTION = "ablation: mask selection in the contrastive branch (0.50)"

SWEEP = Sweep(
    name="teacher",
    title="Role of the teacher",
    question="Which of the teacher's two roles helps: choosing what is seen, or being distilled?",
    source="ablation: distillation on/off (contrastive mask 0.50)",
    common={"contrastive.mask.ratio": 0.5},
    variants=(
        Variant("off", NO_TEACHER),
        Variant(
            "guidance only",
            {**WITH_TEACHER, "distillation.weight": 0.0},
            "TG-DP without distillation",
        ),
        Variant(
            "distillation only",
            {**WITH_TEACHER, "contrastive.mask.selection": "random"},
            (SELECTION, "TG-DP random mask"),
        ),
        Variant("both", WITH_TEACHER, "TG-DP with distillation"),
    ),
    metrics=RETRIEVAL,
)
