"""What no single field can see: sizes that do not fit and switches that contradict each other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tgdp.config.method import MaskConfig
    from tgdp.config.root import Config

MEL_BINS = 128
"""Kaldi log-mel bins; the released front end knows no other number."""

Problem = tuple[object, str]
"""Whether something is wrong, and what."""


def num_kept(num_tokens: int, ratio: float) -> int:
    """Return how many of the tokens stay visible at a mask ratio.

    Source: released code, `int(L * (1 - mask_ratio))`.
    """
    return int(num_tokens * (1 - ratio))


def contradiction(config: "Config") -> str | None:
    """Return the first thing that is wrong with a configuration, with its mend; None if none is."""
    parts = (_sizes, _training, _masks, _guidance, _teacher, _single_pass, _losses)
    return next((message for part in parts for wrong, message in part(config) if wrong), None)


def _sizes(config: "Config") -> Iterator[Problem]:
    data, model, decoder = config.data, config.model, config.model.decoder
    image, audio = model.image_patch, model.audio_patch
    steps = "data.segment_steps" if data.audio == "segment" else "data.clip_steps"
    yield data.image_size % image, "data.image_size must be a multiple of model.image_patch"
    yield data.audio_steps % audio, f"{steps} must be a multiple of model.audio_patch"
    yield MEL_BINS % audio, f"model.audio_patch must divide the {MEL_BINS} mel bins"
    yield model.width % model.num_heads, "model.width must be a multiple of model.num_heads"
    yield model.width % 4, "model.width must be a multiple of 4 (sine-cosine positions)"
    yield (
        decoder.width % decoder.num_heads,
        "model.decoder.width must be a multiple of model.decoder.num_heads",
    )
    yield decoder.width % 4, "model.decoder.width must be a multiple of 4"
    yield (
        int(min(model.width, decoder.width) * model.mlp_ratio) < 1,
        "model.mlp_ratio leaves a hidden layer without units; raise it, model.width or "
        "model.decoder.width",
    )
    yield (
        model.keep_registers and not model.num_registers,
        "model.keep_registers keeps none: model.num_registers is 0",
    )
    yield (
        config.init.source == "file" and config.init.file is None and not config.init.sha256,
        "init.source 'file' needs init.file, the state dict to start from",
    )
    yield (
        config.init.source != "file" and (config.init.file is not None or config.init.sha256),
        f"init.file is not read with init.source '{config.init.source}'; choose 'file'",
    )


def _training(config: "Config") -> Iterator[Problem]:
    training = config.training
    yield (
        training.batch_size < 2 * training.accumulation,
        f"training.accumulation {training.accumulation} leaves parts of a single pair, which has "
        "no negatives; lower it or raise training.batch_size",
    )
    yield (
        training.residual == "bfloat16" and training.precision != "bfloat16",
        f"training.residual bfloat16 needs training.precision bfloat16, not {training.precision}",
    )


def _masks(config: "Config") -> Iterator[Problem]:
    yield from _mask(config, config.reconstruction.mask, "reconstruction.mask")
    yield from _mask(config, config.contrastive.mask, "contrastive.mask")
    if config.reconstructs:
        for modality, num in _num_patches(config).items():
            low, _ = config.reconstruction.mask.reached(modality)
            yield (
                num_kept(num, low) >= num,
                f"reconstruction.mask: at ratio {low} none of {num} {modality} patches is hidden, "
                "so there is nothing to reconstruct",
            )


def _mask(config: "Config", mask: "MaskConfig", name: str) -> Iterator[Problem]:
    constant = mask.schedule == "constant"
    yield (
        not constant and mask.from_ratio is None,
        f"{name}.schedule '{mask.schedule}' needs {name}.from_ratio",
    )
    yield (
        constant and mask.from_ratio is not None,
        f"{name}.from_ratio changes nothing with {name}.schedule 'constant'; "
        "choose linear, cosine or uniform",
    )
    for modality, num in _num_patches(config).items():
        _, high = mask.reached(modality)
        yield (
            num_kept(num, high) < 1,
            f"{name}: ratio {high} leaves none of {num} {modality} patches",
        )


def _num_patches(config: "Config") -> dict[Literal["audio", "image"], int]:
    data, model = config.data, config.model
    rows, columns = MEL_BINS // model.audio_patch, data.audio_steps // model.audio_patch
    return {"audio": rows * columns, "image": (data.image_size // model.image_patch) ** 2}


def _guidance(config: "Config") -> Iterator[Problem]:
    mask, selection = config.contrastive.mask, config.contrastive.mask.selection
    name = "contrastive.mask"
    yield (
        config.is_guided and not config.teacher.enabled,
        f"{name}.selection '{selection}' needs teacher.enabled; choose 'random' or enable it",
    )
    yield (
        config.is_guided and config.model.pooling == "mean",
        f"{name}.selection '{selection}' ranks by attention with the CLS; "
        "model.pooling 'mean' has none",
    )
    yield (
        config.is_guided and mask.audio_structure != "none",
        f"{name}.audio_structure '{mask.audio_structure}' is drawn at random; "
        f"it needs {name}.selection 'random'",
    )
    idle = mask.guided_share < 1 or mask.warmup_steps or mask.warmup_epochs
    yield (
        idle and not config.is_guided,
        f"{name}.guided_share, warmup_steps and warmup_epochs change nothing with selection "
        "'random'; choose guided, sampled or guided_shuffled",
    )
    yield (
        mask.warmup_steps and mask.warmup_epochs,
        f"give the warm-up of the guidance as either {name}.warmup_steps or {name}.warmup_epochs",
    )


def _teacher(config: "Config") -> Iterator[Problem]:
    enabled = config.teacher.enabled
    guides = config.is_guided and config.contrasts
    yield (
        config.distills and not enabled,
        "distillation.weight above 0 needs teacher.enabled; set it to 0 or enable the teacher",
    )
    yield (
        enabled and not config.distills and not guides,
        "teacher.enabled, but nothing uses the teacher: it neither distils "
        "(distillation.weight is 0) nor guides (contrastive.mask.selection is 'random' or "
        "contrastive.weight is 0); disable it or give it work",
    )


def _single_pass(config: "Config") -> Iterator[Problem]:
    if config.passes == "dual":
        return
    yield (
        config.is_guided,
        f"contrastive.mask.selection '{config.contrastive.mask.selection}' needs passes 'dual'; "
        "the one mask of passes 'single' is random",
    )
    ours, theirs = config.contrastive.mask, config.reconstruction.mask
    for field in type(theirs).model_fields:
        one, other = getattr(ours, field), getattr(theirs, field)
        yield (
            one != other,
            f"passes 'single' has one mask for both, but contrastive.mask.{field} is {one} and "
            f"reconstruction.mask.{field} is {other}; set them equal",
        )


def _losses(config: "Config") -> Iterator[Problem]:
    yield (
        not config.reconstructs and not config.contrasts,
        "nothing is trained: reconstruction.weight, contrastive.weight and distillation.weight "
        "are all 0",
    )
    yield (
        config.reconstruction.pixel_norm and config.model.audio_patch == 1,
        "reconstruction.pixel_norm needs more than one value a patch; model.audio_patch is 1",
    )
    yield (
        config.distillation.form == "cosine" and not config.distillation.normalize,
        "distillation.form 'cosine' is of normalised vectors; distillation.normalize must be true",
    )
    yield (
        config.contrastive.learned_temperature and config.contrastive.weight == 0,
        "contrastive.learned_temperature learns nothing with contrastive.weight 0",
    )
