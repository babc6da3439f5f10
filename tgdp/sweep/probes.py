"""Which probes a sweep is asked for, and which of them a run has not been measured by yet.

Kept light, as the plan is: no torch, and no file opened where no probe is asked for.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, get_args

from tgdp.errors import UserError, unknown_name
from tgdp.evaluation.probe.settings import (
    PROTOCOLS,
    SPLITS,
    Kind,
    Modality,
    ProbeSettings,
    parse_modalities,
)
from tgdp.training.run_directory import RunDirectory

WHICH = "last"
"""The weights that a sweep measures."""


ALL_INPUTS = "av"
"""What `--modality` is if nobody gives it."""


class ProbeWords(NamedTuple):
    """What was asked for on the command line.

    Attributes:
        kinds: Words of `--probe`.
        modalities: Text of `--modality`: one, or several with commas between them.
    """

    kinds: tuple[str, ...] = ()
    modalities: str = ALL_INPUTS


class Probe(NamedTuple):
    """A probe as a sweep asks for it; all else of it is as `ProbeSettings` has it.

    Attributes:
        kind: Which probe.
        modality: On what.
        train_split: Clips it is trained on.
        test_split: Clips it is tested on.
    """

    kind: Kind
    modality: Modality
    train_split: str
    test_split: str

    def __str__(self) -> str:
        """Return its protocol and modality: `probe-linear/v1 av`."""
        return f"{PROTOCOLS[self.kind]} {self.modality}"

    def settings(self) -> ProbeSettings:
        """Return all of its settings but the task, which the labels say."""
        return ProbeSettings(kind=self.kind, modality=self.modality)

    def is_in(self, found: Mapping[str, Any], fingerprint: str) -> bool:
        """Return whether an evaluation that was kept is this one.

        Args:
            found: The evaluation.
            fingerprint: Of the run's data.
        """
        facts = {
            "protocol": PROTOCOLS[self.kind],
            "fingerprint": fingerprint,
            "which": WHICH,
            "modality": self.modality,
            "train_split": self.train_split,
            "split": self.test_split,
        }
        same = all(found.get(name) == value for name, value in facts.items())
        return same and _without_task(found.get("settings", {})) == self._plain_settings()

    def _plain_settings(self) -> dict[str, Any]:
        settings = self.settings()
        plain = json.dumps({**asdict(settings), "rates": settings.grid})
        return _without_task(json.loads(plain))


def ask(words: ProbeWords, data: str, splits: Mapping[str, int]) -> tuple[Probe, ...]:
    """Return the probes that are asked for, each once.

    Args:
        words: What was asked for.
        data: Name of the data, for the message.
        splits: Its splits and the number of clips in each.

    Raises:
        UserError: There is no such probe or modality, or the data has no split for it.
    """
    if not words.kinds:
        return ()
    kinds, modalities = _kinds(words.kinds), parse_modalities(words.modalities)
    train, test = (_split(role, data, splits) for role in SPLITS)
    return tuple(Probe(kind, modality, train, test) for kind in kinds for modality in modalities)


def missing(run: RunDirectory, fingerprint: str, probes: Sequence[Probe]) -> tuple[Probe, ...]:
    """Return the probes that a run has not been measured by.

    Args:
        run: Its folder, there or not.
        fingerprint: Of its data.
        probes: Those that are asked for.

    Raises:
        UserError: An evaluation that was kept cannot be read.
    """
    there = run.evaluation_results() if probes else []
    return tuple(
        probe for probe in probes if not any(probe.is_in(found, fingerprint) for found in there)
    )


def _kinds(words: Sequence[str]) -> tuple[Kind, ...]:
    valid: dict[str, Kind] = {name: name for name in get_args(Kind)}
    for word in words:
        if word not in valid:
            raise unknown_name("--probe", word, valid)
    return tuple(dict.fromkeys(valid[word] for word in words))


def _split(role: str, data: str, splits: Mapping[str, int]) -> str:
    found = next((name for name in SPLITS[role] if name in splits), None)
    if found is None:
        listed = ", ".join(f"{name} ({number} clips)" for name, number in splits.items())
        raise UserError(
            f"--probe: data '{data}' has no split {' or '.join(SPLITS[role])} for probes to {role} "
            f"on; there are {listed}. `tgdp-eval probe RUN` takes any splits"
        )
    return found


def _without_task(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "task"}
