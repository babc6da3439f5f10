"""What was launched under which name: `results/sweeps/<sweep>.jsonl`, a line a run.

A run directory is named by its science and knows no sweep. These lines say which row and seed of
which sweep it was asked for as, so that `masking/0.50@0` finds it, and a row whose science has
changed since finds the run it had before. They are notes: without them nothing is lost.
"""

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tgdp.data.files import append_lines
from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, Sweep

FOLDER = "sweeps"


@dataclass(frozen=True)
class Record:
    """A run that was asked for.

    Attributes:
        sweep: Name of the sweep.
        row: Label of the row.
        seed: Its seed.
        run: Signature of the run.
        words: Preset, data and `--set` in words.
        asked: Unix time at which it was first asked for so.
    """

    sweep: str
    row: str
    seed: int
    run: str
    words: str
    asked: float

    @property
    def place(self) -> tuple[str, str, str, int]:
        """What stays when the science changes: sweep, words, row and seed."""
        return self.sweep, self.words, self.row, self.seed

    @property
    def name(self) -> str:
        """Its name, as one writes it: `masking/0.50@0`."""
        return f"{self.sweep}/{self.row}@{self.seed}"


def note(results: Path, sweep: Sweep, cells: Iterable[Cell], words: str) -> None:
    """Write down what a launch asks for; what stands there already is not written again.

    Args:
        results: The results folder.
        sweep: The declaration.
        cells: Its runs.
        words: The base in words, as `Words.describe` has it.

    Raises:
        UserError: The file cannot be written.
    """
    last = {record.place: record.run for record in read(results, sweep.name)}
    lines: list[str] = []
    for cell in cells:
        names = (sweep.name, cell.variant.label, cell.seed, cell.signature)
        record = Record(*names, words, time.time())
        if last.get(record.place) != record.run:
            lines.append(json.dumps(asdict(record)))
    path = results / FOLDER / f"{sweep.name}.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        append_lines(path, lines)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def read(results: Path, sweep: str | None = None) -> list[Record]:
    """Return what was asked for, the oldest first; a torn line is left out.

    Args:
        results: The results folder.
        sweep: One sweep; all if None.
    """
    folder = results / FOLDER
    files = [folder / f"{sweep}.jsonl"] if sweep else sorted(folder.glob("*.jsonl"))
    return [record for file in files for record in _records(file)]


def newest(records: Iterable[Record]) -> list[Record]:
    """Return what each row and seed of each sweep, on each base, was last asked for as."""
    return list({record.place: record for record in records}.values())


def _records(file: Path) -> Iterable[Record]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield Record(**json.loads(line))
        except (TypeError, ValueError):
            continue
