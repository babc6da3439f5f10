"""Which settings retrieve best for their time? Ratio, selection, temperature, teacher, rate."""

from tgdp.sweep.tune.declare import Choice, Objective, Range, Study

STUDY = Study(
    name="tune",
    question="Which settings that the paper leaves open retrieve best, and at what cost?",
    # The teacher is always there, as in TG-DP; by what rule it selects is part of the search.
    common={"teacher.enabled": True, "distillation.weight": 1.0},
    space=(
        Range("contrastive.mask.ratio", 0.0, 0.75, step=0.05),
        Choice("contrastive.mask.selection", ("random", "guided", "sampled")),
        Range("contrastive.temperature", 0.02, 0.2, log=True),
        Range("distillation.weight", 0.1, 10.0, log=True),
        Choice("teacher.momentum", (0.99, 0.996, 0.999)),
        # Wide enough for both: 2e-3 is the rate of `tiny`, 2e-4 that of `paper`.
        Range("training.learning_rate", 5e-5, 5e-3, log=True),
    ),
    # Where runs have GPUs, `gpu_hours` instead of `hours` counts all of them.
    objectives=(Objective("retrieval", "maximize"), Objective("hours", "minimize")),
)
