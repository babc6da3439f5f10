"""Is it the method or the training? TG-DP and its ancestors on equal data, epochs and batch."""

from tgdp.presets import CAV_MAE, CAV_MAE_SYNC, WITH_TEACHER
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

ANCESTORS = "CAV-MAE Sync page: retrieval"

TG_DP = {**WITH_TEACHER, "contrastive.mask.ratio": 0.5}

SWEEP = Sweep(
    name="baselines",
    title="TG-DP and its ancestors",
    question="How far apart are TG-DP and its ancestors, trained alike, as the paper did not?",
    source="TG-DP main retrieval",
    # The weights of the losses are the base's for all rows: the ancestors' own are in the presets
    # `cav_mae` and `cav_mae_sync`.
    variants=(
        Variant("CAV-MAE", CAV_MAE, (ANCESTORS, "CAV-MAE")),
        Variant("CAV-MAE Sync", CAV_MAE_SYNC, (ANCESTORS, "CAV-MAE Sync")),
        Variant("TG-DP", TG_DP, "TG-DP"),
        Variant("TG-DP, random selection", {**TG_DP, "contrastive.mask.selection": "random"}),
    ),
    metrics=RETRIEVAL,
)
