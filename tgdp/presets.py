"""Full configurations by name: `tiny` for two CPU cores, `small` for one GPU, `paper`."""

from collections.abc import Callable

from tgdp.config import (
    Config,
    ContrastiveConfig,
    ContrastiveMask,
    DataConfig,
    DecoderConfig,
    DistillationConfig,
    ModelConfig,
    RuntimeConfig,
    TeacherConfig,
    TrainingConfig,
)
from tgdp.errors import unknown_name


def tiny() -> Config:
    """Return the size at which the embedded benchmark learns in a minute on one core.

    Source: ours. Selection is random, not guided: from a teacher this young, guidance fell below
    random selection in one seed of three (docs/design/0003-embedded-benchmark.md).
    """
    return Config(
        data=DataConfig(image_size=48, segment_steps=96, clip_steps=112),
        model=ModelConfig(
            width=64,
            num_heads=4,
            modality_layers=2,
            mlp_ratio=2.0,
            num_registers=0,
            image_patch=8,
            decoder=DecoderConfig(width=32, num_layers=1, num_heads=2),
        ),
        contrastive=ContrastiveConfig(mask=ContrastiveMask(selection="random"), weight=1.0),
        teacher=TeacherConfig(enabled=False),
        distillation=DistillationConfig(weight=0.0),
        training=TrainingConfig(batch_size=48, steps=600, learning_rate=2e-3),
    )


def small() -> Config:
    """Return a model for one GPU and a few hours: a third of the width, the paper's inputs.

    Source: ours.
    """
    return Config(
        data=DataConfig(name="audioset"),
        model=ModelConfig(
            width=384,
            num_heads=6,
            decoder=DecoderConfig(width=256, num_layers=4, num_heads=8),
        ),
        training=TrainingConfig(batch_size=256, epochs=20, precision="bfloat16"),
        runtime=RuntimeConfig(num_workers=8, log_every=20, save_every=500),
    )


def paper() -> Config:
    """Return TG-DP as published: ViT-B on AudioSet-2M, 35 epochs.

    Source: TG-DP section 3 where it says; the optimiser, the rate, the batch, the momentum and the
    weights of the losses are published nowhere and are ours (docs/method.md lists them).
    """
    return Config(
        data=DataConfig(name="audioset"),
        training=TrainingConfig(batch_size=512, epochs=35, precision="bfloat16"),
        runtime=RuntimeConfig(num_workers=12, log_every=20, save_every=1000),
    )


PRESETS: dict[str, Callable[[], Config]] = {"tiny": tiny, "small": small, "paper": paper}


def by_name(name: str) -> Config:
    """Return a preset.

    Raises:
        UserError: There is no preset of that name; the valid names are listed.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]()
