"""Draws from the space of all configurations that a model is built from, contradictory ones too.

One random generator makes a whole draw. As a strategy with a part for each field, hypothesis would
spend most of its examples on small changes of few draws.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, Literal, NamedTuple, get_args, get_origin

from tgdp import presets
from tgdp.config import keys, override

STEPS = 5
BASE = override(presets.tiny(), {"training.steps": STEPS})

ELSEWHERE = {
    "seed": "any number that the range allows does; draws of it are a law of their own",
    "data.name": "a word in the names of metrics",
    "data.fingerprint": "read from the prepared folder",
    "data.train_split": "needs prepared clips",
    "data.timing": "where in the clip a segment starts; needs prepared clips",
    "data.audio_mean": "of the front end, before the model",
    "data.audio_std": "of the front end, before the model",
    "data.augment_image": "of the loader; needs prepared clips",
    "data.roll_audio": "of the loader; needs prepared clips",
    "init.source": "needs a file of weights or the network",
    "init.sha256": "read from that file",
    "training.": "optimiser, length and precision have tests of their own",
    "evaluation.": "after training",
}
"""What is not drawn here, and why; a name that ends in a dot stands for its section."""


def _field(key: str) -> Any:
    *parents, leaf = key.split(".")
    section: Any = BASE
    for parent in parents:
        section = getattr(section, parent)
    return type(section).model_fields[leaf]


class Range(NamedTuple):
    """Any number between two."""

    low: float
    high: float


RATIO = (0.5, 0.75, 0.25, 0.9, 0.99, 0.0, *[Range(0, 0.9)] * 4)
MAYBE_RATIO = (None, None, *RATIO)
WEIGHT = (1.0, 0.01, 0.0, Range(0, 100))

NUMBERS: Mapping[str, Sequence[Any]] = {
    "data.image_size": (8, 16, 24, 32, 48),
    "data.segment_steps": (16, 48, 64, 96, 104),
    "data.clip_steps": (16, 64, 112),
    "model.width": (8, 12, 16, 18),
    "model.num_heads": (1, 2, 3, 4),
    "model.modality_layers": (0, 1, 2),
    "model.joint_layers": (1, 2, 3),
    "model.mlp_ratio": (0.1, 0.5, 1.0, 2.5, 4.0),
    "model.num_registers": (0, 1, 4, 8),
    "model.contrastive_head_layers": (0, 1, 2),
    "model.image_patch": (2, 4, 8, 16),
    "model.audio_patch": (4, 8, 16, 32, 48, 64, 128),
    "model.decoder.width": (8, 10, 12, 16),
    "model.decoder.num_layers": (1, 2),
    "model.decoder.num_heads": (1, 2, 3, 4),
    "reconstruction.mask.ratio": RATIO,
    "reconstruction.mask.audio_ratio": MAYBE_RATIO,
    "reconstruction.mask.image_ratio": MAYBE_RATIO,
    "reconstruction.mask.from_ratio": MAYBE_RATIO,
    "reconstruction.weight": WEIGHT,
    "reconstruction.audio_weight": WEIGHT,
    "reconstruction.image_weight": WEIGHT,
    "contrastive.mask.ratio": RATIO,
    "contrastive.mask.audio_ratio": MAYBE_RATIO,
    "contrastive.mask.image_ratio": MAYBE_RATIO,
    "contrastive.mask.from_ratio": MAYBE_RATIO,
    "contrastive.mask.guided_share": (1.0, 0.5, 0.01, Range(0.01, 1)),
    "contrastive.mask.warmup_steps": (0, 0, 3, 99),
    "contrastive.mask.warmup_epochs": (0, 0, 1, 99),
    "contrastive.weight": WEIGHT,
    "contrastive.temperature": (0.01, 0.05, 1.0, 100.0),
    "teacher.momentum": (0.0, 0.5, 0.999, 1.0),
    "distillation.weight": WEIGHT,
}


def is_elsewhere(key: str) -> bool:
    """Say whether a field is among those that are not drawn."""
    return key in ELSEWHERE or key.startswith(tuple(k for k in ELSEWHERE if k.endswith(".")))


HERE = [key for key in keys(BASE) if not key.startswith("runtime.") and not is_elsewhere(key)]
FLAGS = [key for key in HERE if _field(key).annotation is bool]
CHOICES = {
    key: get_args(_field(key).annotation)
    for key in HERE
    if get_origin(_field(key).annotation) is Literal
}

SPACE: Mapping[str, Sequence[Any]] = {**NUMBERS, **CHOICES, **dict.fromkeys(FLAGS, (False, True))}


def _patches(new: dict[str, Any]) -> None:
    divisors = (8, 16, 32, 64, 128)
    audio = min(divisors, key=lambda side: abs(side - new["model.audio_patch"]))
    for steps in ("data.segment_steps", "data.clip_steps"):
        new[steps] = max(4 if audio == 128 else 2, -(-new[steps] // audio)) * audio
    image = max(4, new["model.image_patch"])
    new["data.image_size"] = 2 * image * (1 + new["data.image_size"] // 32)
    new |= {"model.audio_patch": audio, "model.image_patch": image}


def _widths(new: dict[str, Any]) -> None:
    for part in ("model", "model.decoder"):
        new[f"{part}.width"] -= new[f"{part}.width"] % 4
        if new[f"{part}.width"] % new[f"{part}.num_heads"]:
            new[f"{part}.num_heads"] = 2


def _ratios(new: dict[str, Any]) -> None:
    for key, value in new.items():
        if ".mask." in key and key.endswith("ratio") and value is not None:
            new[key] = min(max(value, 0.3), 0.75)


def _schedules(new: dict[str, Any]) -> None:
    for mask in ("reconstruction.mask", "contrastive.mask"):
        constant, start = new[f"{mask}.schedule"] == "constant", new[f"{mask}.from_ratio"]
        if constant == (start is not None):
            new[f"{mask}.from_ratio"] = None if constant else 0.3


def _selection(new: dict[str, Any]) -> None:
    guided = {"model.pooling": "cls", "contrastive.mask.audio_structure": "none", "passes": "dual"}
    if new["contrastive.mask.selection"] != "random" and new["contrastive.mask.guided_share"] < 1:
        new |= guided
    if any(new[key] != value for key, value in guided.items()):
        new["contrastive.mask.selection"] = "random"


def _guidance(new: dict[str, Any]) -> None:
    mask = "contrastive.mask"
    if new[f"{mask}.selection"] == "random":
        new |= {f"{mask}.warmup_steps": 0, f"{mask}.warmup_epochs": 0, f"{mask}.guided_share": 1.0}
    elif new[f"{mask}.warmup_steps"]:
        new[f"{mask}.warmup_epochs"] = 0


def _teacher(new: dict[str, Any]) -> None:
    guided = new["contrastive.mask.selection"] != "random"
    new["teacher.enabled"] = guided or new["distillation.weight"] > 0


def _weights(new: dict[str, Any]) -> None:
    if new["contrastive.weight"] == 0:
        new["contrastive.learned_temperature"] = False
        if new["distillation.weight"] == 0:
            new["contrastive.mask.selection"] = "random"


def _forms(new: dict[str, Any]) -> None:
    new["distillation.normalize"] |= new["distillation.form"] == "cosine"
    new["model.keep_registers"] &= new["model.num_registers"] > 0


def _single_pass(new: dict[str, Any]) -> None:
    if new["passes"] == "single":
        shared = [key for key in new if key.startswith("reconstruction.mask.")]
        new |= {key.replace("reconstruction", "contrastive"): new[key] for key in shared}


MENDS = (
    *(_patches, _widths, _ratios, _schedules, _selection),
    *(_weights, _guidance, _teacher, _forms, _single_pass),
)
"""Each takes one kind of contradiction out of a draw."""


def draw(chance: Random) -> dict[str, Any]:
    """Draw every field and take the contradictions out, but in one draw of two leave one kind."""
    new = {key: _pick(chance, values) for key, values in SPACE.items()}
    left = chance.randrange(2 * len(MENDS))
    for number, mend in enumerate(MENDS):
        if number != left:
            mend(new)
    return new


def _pick(chance: Random, values: Sequence[Any]) -> Any:
    value = chance.choice(values)
    return chance.uniform(*value) if isinstance(value, Range) else value
