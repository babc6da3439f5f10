"""A study over one base: what its trials are called, and what run each of them is."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tgdp.config import Config, override, science, signature
from tgdp.model.content import named_by_content
from tgdp.sweep.declare import RETRIEVAL, Cell, Sweep, Variant
from tgdp.sweep.differences import flat
from tgdp.sweep.plan import PlannedRun
from tgdp.sweep.resolve import Base, Words, resolve_base
from tgdp.sweep.state import read_state
from tgdp.sweep.tune.declare import Study
from tgdp.sweep.tune.space import Point, check
from tgdp.training.run_directory import RunDirectory


@dataclass(frozen=True)
class Task:
    """A study over one base.

    Attributes:
        study: The declaration.
        base: What every trial starts from; the seed is the study's.
        results: The results folder.
        words: The base in words, with the name of the study.
        told: The base as the command line has it: its notes, its splits.
    """

    study: Study
    base: Config
    results: Path
    words: str
    told: Base

    @property
    def name(self) -> str:
        """The study and the hash of everything that makes its numbers comparable."""
        return f"{self.study.name}-{self.digest}"

    @property
    def digest(self) -> str:
        """The hash: over base, space, objectives and constraints."""
        return _digest(self.study, self.base)

    @property
    def dataset(self) -> str:
        """Name of the data."""
        return self.base.data.name

    def cell(self, number: int, point: Point) -> Cell:
        """Return the run of a trial.

        Args:
            number: Of the trial.
            point: Where it lies in the space.

        Raises:
            UserError: The configuration refuses this point.
        """
        changed = override(self.base, point, f"study '{self.study.name}', {label(number)}")
        config = named_by_content(changed)
        variant = Variant(label(number), point)
        return Cell(variant, config.seed, config, signature(config))

    def planned(self, cell: Cell) -> PlannedRun:
        """Return the run of a cell, as its directory says."""
        folder = self.results / "runs"
        status = read_state(RunDirectory(folder / cell.signature))
        return PlannedRun(cell, folder, status)

    def sweep(self, cells: Iterable[Cell] = ()) -> Sweep:
        """Return the trials as the rows of a sweep, for all that looks after runs."""
        study = self.study
        return Sweep(
            name=study.name,
            title=f"Study {self.name}",
            question=study.question,
            source="",
            variants=tuple(cell.variant for cell in cells),
            metrics=RETRIEVAL,
            seeds=(self.base.seed,),
        )


def make_task(study: Study, words: Words, seed: int, results: Path) -> Task:
    """Return a study over the base that the command line names.

    Args:
        study: The declaration.
        words: Preset, data and `--set`.
        seed: Of every trial's run.
        results: The results folder.

    Raises:
        UserError: A name, a key, a value or the data folder is not valid; the space does not fit.
    """
    rows = (Variant("any", dict.fromkeys(study.keys)),)
    sweep = Sweep(study.name, study.name, study.question, "", rows, (), study.common)
    told = resolve_base(sweep, words, results)
    base = override(told.config, {"seed": seed}, "--seed")
    check(study, base)
    described = f"{words.describe(base.data.name)}, study {_digest(study, base)}"
    return Task(study, base, results, described, told)


def with_runtime(task: Task, changes: Mapping[str, Any]) -> Task:
    """Return a study whose runs are computed otherwise, which changes no signature."""
    base = override(task.base, changes)
    return Task(task.study, base, task.results, task.words, task.told)


def label(number: int) -> str:
    """Return what a trial is called."""
    return f"t{number:03}"


def shape(study: Study, config: Config) -> dict[str, Any]:
    """Return the science of a configuration by dotted name, without the keys of the space."""
    kept = flat(science(config))
    return {key: value for key, value in kept.items() if key not in study.keys}


def _digest(study: Study, base: Config) -> str:
    parts = {
        "base": shape(study, base),
        "space": [[type(one).__name__, asdict(one)] for one in study.space],
        "objectives": [asdict(one) for one in study.objectives],
        "constraints": [asdict(one) for one in study.constraints],
    }
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
