"""What a probe is told: which one, on what, how it is trained, how it is counted."""

from dataclasses import dataclass
from typing import Literal, get_args

from tgdp.errors import UserError, unknown_name

Kind = Literal["attention", "linear"]
Task = Literal["multilabel", "singlelabel"]
Modality = Literal["av", "a", "v"]

PROTOCOLS: dict[Kind, str] = {"attention": "probe-attention/v1", "linear": "probe-linear/v1"}
"""Name and version, printed with every number; a change that moves numbers makes a new version."""

SPLITS = {"train": ("probe_train", "train"), "test": ("probe_test", "test")}
"""Splits that a probe is trained and tested on where none are named: the first that there is."""

RATES: dict[Kind, tuple[float, ...]] = {
    "attention": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
    "linear": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
"""Learning rates tried where none are given. Source: ours; no text names the probe's rate."""


def parse_modalities(text: str) -> tuple[Modality, ...]:
    """Return the modalities of `--modality`, each once: `av`, or several as `av,a`.

    Raises:
        UserError: None is named, or one that there is not.
    """
    valid: dict[str, Modality] = {name: name for name in get_args(Modality)}
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UserError(f"--modality: nothing named. Valid: {', '.join(valid)}")
    for word in words:
        if word not in valid:
            raise unknown_name("--modality", word, valid)
    return tuple(dict.fromkeys(valid[word] for word in words))


@dataclass(frozen=True)
class ProbeSettings:
    """One probe on one task.

    Every number is ours, but for the epochs, which are those of CAV-MAE's fine-tuning on AS20K
    (`egs/audioset/run_cavmae_ft_bal.sh`); the paper gives none.

    Attributes:
        kind: The paper's two layers and a linear one, or truly linear.
        task: Several labels a clip (binary cross-entropy, mAP) or one (cross-entropy, Top-1).
        modality: Both, sound only, pictures only.
        rates: Learning rates to choose from; None for `RATES` of the kind.
        seeds: One probe each, from initialisation to order of clips.
        epochs: Passes through the training clips.
        min_steps: A small set is passed through more often, until there are so many steps.
        batch: Clips a step.
        held_out: Fraction of the training clips on which the rate is chosen.
        resamples: Bootstrap samples of the test clips for the interval of Top-1; 0 for none.
        map_resamples: The same for mAP, which takes longer.

    Raises:
        UserError: A value is out of range or unknown; it is named.
    """

    kind: Kind = "attention"
    task: Task = "multilabel"
    modality: Modality = "av"
    rates: tuple[float, ...] | None = None
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 15
    min_steps: int = 400
    batch: int = 64
    held_out: float = 0.15
    resamples: int = 1000
    map_resamples: int = 200

    def __post_init__(self) -> None:
        for name, choices in (("kind", Kind), ("task", Task), ("modality", Modality)):
            if getattr(self, name) not in get_args(choices):
                raise unknown_name(f"probe {name}", getattr(self, name), get_args(choices))
        checks = {
            "rates": (all(rate > 0 for rate in self.grid) and bool(self.grid), "above 0, and some"),
            "seeds": (0 < len(set(self.seeds)) == len(self.seeds), "different, and some"),
            "epochs": (self.epochs > 0, "above 0"),
            "min_steps": (self.min_steps >= 0, "0 or more"),
            "batch": (self.batch > 0, "above 0"),
            "held_out": (0 < self.held_out < 1, "between 0 and 1"),
            "resamples": (self.resamples >= 0, "0 or more"),
            "map_resamples": (self.map_resamples >= 0, "0 or more"),
        }
        for name, (is_good, wanted) in checks.items():
            if not is_good:
                raise UserError(f"probe {name}: {getattr(self, name)} is not {wanted}")

    @property
    def grid(self) -> tuple[float, ...]:
        """Learning rates to choose from, rising."""
        return tuple(sorted(set(RATES[self.kind] if self.rates is None else self.rates)))

    @property
    def protocol(self) -> str:
        """Name and version of what is measured."""
        return PROTOCOLS[self.kind]
