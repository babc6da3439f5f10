"""The gradient norm of every parameter, in groups so that the table stays readable."""

import math
import re
from collections.abc import Mapping

from tgdp.bench.parity.checks import STEP, Check
from tgdp.bench.parity.difference import Difference, ratio
from tgdp.bench.parity.figures import Figures
from tgdp.bench.parity.replay import Replay
from tgdp.model.released.names import our_name

GROUPS = {
    "tokens and modality embeddings": r"register_tokens|.*(_token|\.modality(_audio|_image)?)$",
    "audio branch": r"encoder\.audio\.",
    "image branch": r"encoder\.image\.",
    "joint layers and heads": r"encoder\.(joint|heads)\.",
    "norms": r"encoder\.norms\.",
    "decoder": r"",
}
"""Group -> start of our names; a parameter belongs to the first that fits, at last the decoder."""

FOLDER = "gradnorm/"
REGISTERS = "register_tokens"


def gradient_checks() -> list[Check]:
    """Return one check a group; together they hold every parameter."""
    return [
        Check(
            f"gradient norms, {group}",
            FOLDER,
            lambda it, group=group: _difference(group, *_both(it)),
            STEP,
            "contrastive",
        )
        for group in GROUPS
    ]


def group_of(name: str) -> str:
    """Return the group of one of our parameters."""
    return next(group for group, pattern in GROUPS.items() if re.match(pattern, name))


def _both(replay: Replay) -> tuple[dict[str, float], dict[str, float]]:
    """Return our norms and theirs by our names, one name for the registers of both modalities."""
    ours = dict(replay.gradient_norms)
    registers = [ours.pop(name) for name in list(ours) if name.endswith(f".{REGISTERS}")]
    return {**ours, REGISTERS: math.hypot(*registers)}, _theirs(replay.figures)


def _theirs(figures: Figures) -> dict[str, float]:
    return {
        # The released code keeps both modalities' registers in one parameter.
        REGISTERS if name == REGISTERS else our_name(name): float(value)
        for name, value in figures.under(FOLDER).items()
        if not math.isnan(value)
    }


def _difference(group: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> Difference:
    """Return the largest relative difference of a group's parameters, and whose it is.

    A parameter that one side lacks has no gradient there: a norm of 0. Where the file has no norm
    of one that has a gradient in ours, nothing is compared and the note says so.
    """
    mine = {name: norm for name, norm in ours.items() if group_of(name) == group}
    other = {name: norm for name, norm in theirs.items() if group_of(name) == group}
    absent = sorted(name for name in mine if mine[name] and name not in other)
    apart = {name: abs(mine.get(name, 0.0) - norm) for name, norm in other.items()}
    relative = {name: ratio(apart[name], norm) for name, norm in other.items()}
    if not relative:
        raise ValueError(f"no norm of the group '{group}' in the file")
    worst = max(relative, key=relative.__getitem__)
    notes = [f"at {worst}"] + [f"not in the file: {', '.join(absent)}"] * bool(absent)
    return Difference(
        len(other),
        len(other) + len(absent),
        max(apart.values()),
        relative[worst],
        note="; ".join(notes),
    )
