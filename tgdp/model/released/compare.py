"""What a released state dict holds, held against what the model of its sizes needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from torch import Tensor

from tgdp.model.released.layout import layout, positions
from tgdp.model.released.names import is_fixed, is_never_used, is_of_decoder
from tgdp.model.released.sizes import Sizes

TOLERANCE = 1e-5
"""Largest difference of fixed positions. The released code computes theirs in single precision,
which moves them by 1.5e-6 at most at 416 and at 1024 steps."""

UNUSED_NORM = "no pass of the released code reaches this norm"
FIXED_POSITIONS = "fixed sine-cosine positions, equal to ours, which are computed"
NO_DECODER = "the file holds no decoder; retrieval and probes need none"
CLASSIFIER = "classification head of a fine-tuned model"
THIRD_CLS = "CLS of a third stream, left in the file by the script that adapted the MAE"
LEARNED_POSITIONS = (
    "positions that are not the fixed sine-cosine ones (they differ by up to {:.1e}): learned "
    "positions, as in fine-tuned CAV-MAE files, have no place in this model"
)

Verdict = Literal["loaded", "missing", "unexpected", "problems"]

_CLASSIFIER = ("mlp_head.", "cls_cls_token", "classifier_")


@dataclass(frozen=True)
class Report:
    """What became of every name; each value is a reason.

    Attributes:
        loaded: Names whose weights are used.
        missing: What the model has and the file has not.
        unexpected: What the file has and the model does not use.
        problems: What nothing explains; with any of these the file is refused.
        notes: What else the reader must know.
    """

    loaded: tuple[str, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    unexpected: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def compare(state: Mapping[str, Tensor], sizes: Sizes) -> Report:
    """Return what is loaded, missing, unexpected and unexplained in a released state dict.

    Args:
        state: Released names without prefix.
        sizes: Those of the state dict.
    """
    verdicts: dict[Verdict, dict[str, str]] = {verdict: {} for verdict in get_args(Verdict)}
    expected = layout(sizes)
    for name in [*expected, *(name for name in state if name not in expected)]:
        if name not in expected:
            verdict, reason = _judge_extra(name, sizes)
        elif name not in state:
            verdict, reason = _judge_absent(name)
        elif tuple(state[name].shape) != expected[name]:
            found = tuple(state[name].shape)
            verdict, reason = "problems", f"shape {found}; by the other sizes {expected[name]}"
        else:
            verdict, reason = _judge_value(name, state[name], sizes)
        verdicts[verdict][name] = reason
    if sizes.decoder_width is None:
        verdicts["missing"]["decoder.*"] = NO_DECODER
    return Report(
        tuple(verdicts["loaded"]),
        verdicts["missing"],
        verdicts["unexpected"],
        verdicts["problems"],
        _notes(sizes),
    )


def is_classifier(name: str) -> bool:
    """Say whether this belongs to the classification head of a fine-tuned model."""
    return name.startswith(_CLASSIFIER)


def learned(theirs: Tensor, ours: Tensor) -> str | None:
    """Return what is wrong with stored positions that are not the fixed ones, else None."""
    if theirs.shape != ours.shape:
        return f"{tuple(theirs.shape)} positions, where {tuple(ours.shape)} are expected"
    difference = (theirs.float() - ours).abs().max().item()
    return None if difference <= TOLERANCE else LEARNED_POSITIONS.format(difference)


def _judge_extra(name: str, sizes: Sizes) -> tuple[Verdict, str]:
    if sizes.decoder_width is None and is_of_decoder(name):
        return "problems", "a part of a decoder whose decoder_embed.weight is missing"
    if is_classifier(name):
        return "unexpected", CLASSIFIER
    if name == "cls_token_av":
        return "unexpected", THIRD_CLS
    return "problems", "nothing of that name is known"


def _judge_absent(name: str) -> tuple[Verdict, str]:
    if is_never_used(name):
        return "missing", UNUSED_NORM
    return "problems", "the file does not hold it"


def _judge_value(name: str, value: Tensor, sizes: Sizes) -> tuple[Verdict, str]:
    if is_never_used(name):
        return "unexpected", UNUSED_NORM
    if not is_fixed(name):
        return "loaded", ""
    problem = learned(value, positions(name, sizes))
    return ("problems", problem) if problem else ("unexpected", FIXED_POSITIONS)


def _notes(sizes: Sizes) -> tuple[str, ...]:
    if sizes.joint_layers == 1:
        return ()
    return (
        f"{sizes.joint_layers} joint layers: ours chain; in the released TG-DP and CAV-MAE Sync "
        "code only the last one counts for the global vectors, so these differ from theirs",
    )
