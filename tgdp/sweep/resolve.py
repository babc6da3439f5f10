"""From command line words to the configuration that every row of a sweep starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tgdp import presets
from tgdp.config import Config, override, parse_assignments
from tgdp.errors import UserError
from tgdp.model.content import named_by_content
from tgdp.sweep.declare import Sweep

DEFAULT_PRESET = "tiny"
EMBEDDED_PLACE = Path("data", "embedded")
"""Of the embedded benchmark, in a results folder."""

OF_THE_DATA = frozenset({"data.name", "data.fingerprint", "data.folder"})
"""Keys that say what a prepared folder holds, so that the folder alone may say it."""


@dataclass(frozen=True)
class Words:
    """What was asked for on the command line.

    Attributes:
        preset: Name of the preset.
        data: Prepared data folder; None for the embedded benchmark.
        assignments: `key=value` words of `--set`.
        seeds: Text of `--seeds`; None for the sweep's own.
    """

    preset: str = DEFAULT_PRESET
    data: Path | None = None
    assignments: tuple[str, ...] = ()
    seeds: str | None = None

    def describe(self, dataset: str) -> str:
        """Return the base in words for people, for example `tiny on embedded`."""
        return ", ".join((f"{self.preset} on {dataset}", *self.assignments))


@dataclass(frozen=True)
class Base:
    """What every row of a sweep starts from.

    Attributes:
        config: The configuration, before a row and a seed change it.
        notes: What the user must know about it, one sentence each.
        embedded: Whether the data is the embedded benchmark, which is made when it is missing.
        splits: Splits of the data, and the number of clips in each.
    """

    config: Config
    notes: tuple[str, ...] = ()
    embedded: bool = False
    splits: Mapping[str, int] = field(default_factory=dict[str, int])


def resolve_base(sweep: Sweep, words: Words, results: Path) -> Base:
    """Return the base of a sweep; nothing is written.

    Args:
        sweep: Whose rows will change the base.
        words: What was asked for.
        results: Results folder; the embedded benchmark lies below it.

    Raises:
        UserError: A name, a key, a value or the data folder is not valid.
    """
    # Twice: what is wrong with `--set` is said before anything about the data, ...
    without_data(sweep, words)
    config, every_row, where = _asked_for(sweep, words)
    name, fingerprint, folder, splits = _data(words, results)
    chosen = {
        "data.name": name,
        "data.fingerprint": fingerprint,
        "data.folder": str(folder),
        **_default_splits(splits),
    }
    # ... and a split named through `--set` wins over the default.
    config = override(override(config, chosen, f"data folder {folder}"), every_row, where)
    _check_splits(config, splits)
    return Base(named_by_content(config), _notes(config, splits), words.data is None, splits)


def without_data(sweep: Sweep, words: Words) -> Config:
    """Return the base of a sweep before any data is chosen: good for sizes, not for a run.

    Raises:
        UserError: A name, a key or a value is not valid.
    """
    return override(*_asked_for(sweep, words))


def _asked_for(sweep: Sweep, words: Words) -> tuple[Config, dict[str, Any], str]:
    """Return the preset, what every row changes in it, and who says so."""
    changes = _checked_assignments(sweep, words.assignments)
    where = "--set" if changes else f"sweep {sweep.name}, preset {words.preset}"
    return presets.by_name(words.preset), {**sweep.common, **changes}, where


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Return the seeds of `--seeds`: `3` is the first three, `0,2` are those two, `7,` is one.

    Raises:
        UserError: It is neither a number nor a list of different numbers, all 0 or more.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isascii() and word.isdigit() for word in words):
        raise _bad_seeds(text)
    numbers = tuple(int(word) for word in words)
    seeds = numbers if "," in text else tuple(range(numbers[0]))
    if not seeds or len(set(seeds)) < len(seeds):
        raise _bad_seeds(text)
    return seeds


def _bad_seeds(text: str) -> UserError:
    return UserError(
        f"--seeds {text}: expected how many (--seeds 3) or which, each once (--seeds 0,1,2)"
    )


def _checked_assignments(sweep: Sweep, assignments: tuple[str, ...]) -> dict[str, Any]:
    changes = parse_assignments(list(assignments))
    varied = sorted({key for variant in sweep.variants for key in variant.changes} & changes.keys())
    if "seed" in changes:
        raise UserError("--set seed: give the seeds with --seeds, as in --seeds 0,1,2")
    if taken := sorted(OF_THE_DATA & changes.keys()):
        raise UserError(f"--set {taken[0]}: the data folder says this; choose one with --data DIR")
    if varied:
        raise UserError(
            f"--set {varied[0]}: sweep '{sweep.name}' varies this key, its rows would undo it"
        )
    return changes


def _data(words: Words, results: Path) -> tuple[str, str, Path, Mapping[str, int]]:
    if words.data is not None:
        from tgdp.data.card import read_card

        card = read_card(words.data)
        return card.name, card.fingerprint, words.data.resolve(), card.splits
    if words.preset != DEFAULT_PRESET:
        raise UserError(
            f"--preset {words.preset}: give the prepared data with --data DIR (`tgdp-data prepare` "
            f"makes it); only --preset {DEFAULT_PRESET} brings its own"
        )
    from tgdp.data.synthetic.spec import EMBEDDED

    return EMBEDDED.name, EMBEDDED.fingerprint, embedded_folder(results), EMBEDDED.splits


def embedded_folder(results: Path) -> Path:
    """Return where the embedded benchmark lies."""
    return (results / EMBEDDED_PLACE).resolve()


def _default_splits(splits: Mapping[str, int]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    if "train" in splits or len(splits) == 1:
        chosen["data.train_split"] = "train" if "train" in splits else next(iter(splits))
    if "retrieval" in splits:
        chosen["evaluation.split"] = "retrieval"
    elif "data.train_split" in chosen:
        chosen["evaluation.split"] = chosen["data.train_split"]
    return chosen


def _check_splits(config: Config, splits: Mapping[str, int]) -> None:
    for key, name in (
        ("data.train_split", config.data.train_split),
        ("evaluation.split", config.evaluation.split),
    ):
        if name not in splits:
            listed = ", ".join(f"{split} ({number} clips)" for split, number in splits.items())
            raise UserError(
                f"--set {key}={name}: data '{config.data.name}' has no such split. Valid: {listed}"
            )


def _notes(config: Config, splits: Mapping[str, int]) -> tuple[str, ...]:
    train, test = config.data.train_split, config.evaluation.split
    notes = (
        f"Data '{config.data.name}': trains on split '{train}' ({splits[train]:,} clips), "
        f"retrieves among split '{test}' ({splits[test]:,} clips).",
    )
    if train == test:
        notes += (
            "RETRIEVAL IS AMONG THE TRAINING CLIPS: the numbers say how well they are remembered, "
            "not how well the model generalises. Prepare a 'retrieval' split to measure that.",
        )
    return notes
