"""Does a second pass help, and does it by seeing more? Single 75 %, dual 75 %, dual 50 %."""

from tgdp.presets import NO_TEACHER, SINGLE_PASS
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep(
    name="passes",
    title="Single and dual pass",
    question="What does a contrastive pass of its own bring, at the same ratio and at a lower one?",
    source="ablation: single vs dual pass (both branches 75% mask)",
    # Without the teacher, so that nothing but the passes differs between the rows.
    common=NO_TEACHER,
    variants=(
        Variant("single pass, 75 %", SINGLE_PASS, "TG-DP single pass"),
        Variant("dual pass, both 75 %", {"contrastive.mask.ratio": 0.75}, "TG-DP dual pass 75/75"),
        Variant("dual pass, contrastive 50 %", {"contrastive.mask.ratio": 0.5}),
    ),
    metrics=RETRIEVAL,
)
