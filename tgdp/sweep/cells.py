"""Runs found by what people call them: `1d53a5`, `0.50@0`, `masking/0.50@0`, `masking/*`."""

from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tgdp.errors import UserError
from tgdp.sweep import records
from tgdp.sweep.records import Record
from tgdp.training.run_directory import RunDirectory

SHORTEST = 4
"""Characters of a signature that are enough, where no other run begins with them."""

MOST_SHOWN = 8

HOW = "Give a signature or its beginning, ROW@SEED or SWEEP/ROW@SEED; `tgdp-sweep status` has them"


@dataclass(frozen=True)
class Named:
    """A run, and what it was asked for as.

    Attributes:
        run: Its directory, which need not exist.
        records: The newest words for it, of every sweep that has it.
    """

    run: RunDirectory
    records: tuple[Record, ...] = ()

    @property
    def title(self) -> str:
        """The run in words: its signature, and the first name it has."""
        for record in self.records:
            return f"{self.run.name} ({record.name}; {record.words})"
        return self.run.name

    def matches(self, pattern: str) -> bool:
        """Return whether a word means this run."""
        if len(pattern) >= SHORTEST and self.run.name.startswith(pattern):
            return True
        names = {self.run.name}
        for record in self.records:
            names |= {record.sweep, record.name, f"{record.row}@{record.seed}"}
        # A label may hold what is a pattern elsewhere, as `[a]`.
        return pattern in names or any(fnmatchcase(name, pattern) for name in names)


def every(results: Path) -> tuple[Named, ...]:
    """Return every run that has a directory or was asked for, by signature."""
    names: dict[str, list[Record]] = {}
    for record in records.newest(records.read(results)):
        names.setdefault(record.run, []).append(record)
    folder = results / "runs"
    with suppress(OSError):  # Nothing was ever run here.
        names |= {path.name: names.get(path.name, []) for path in folder.iterdir() if path.is_dir()}
    return tuple(
        Named(RunDirectory(folder / name), tuple(some)) for name, some in sorted(names.items())
    )


def find(results: Path, pattern: str) -> tuple[Named, ...]:
    """Return every run that a word means.

    Raises:
        UserError: There is none.
    """
    runs = every(results)
    found = tuple(named for named in runs if named.matches(pattern))
    if not found:
        some = ", ".join(named.title for named in runs[:MOST_SHOWN]) or "none yet"
        raise UserError(f"no run '{pattern}' in {results / 'runs'}. {HOW}. Runs: {some}")
    return found


def find_one(results: Path, cell: str) -> Named:
    """Return the run that a word means.

    Raises:
        UserError: There is none, or it means several; they are named.
    """
    found = find(results, cell)
    if len(found) > 1:
        some = "; ".join(named.title for named in found[:MOST_SHOWN])
        more = ", ..." if len(found) > MOST_SHOWN else ""
        raise UserError(
            f"'{cell}' means {len(found)} runs, give the signature of one: {some}{more}"
        )
    return next(iter(found))
