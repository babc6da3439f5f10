"""How a sweep was last launched: `results/sweeps/<sweep>.last.json`.

So that `tgdp-sweep status NAME` shows the runs that were launched, and not those that the same
words without options would launch. Seeds are not in it: the notes of `records` say which were asked
for on the same base.
"""

import json
from pathlib import Path
from typing import NamedTuple

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep.records import FOLDER
from tgdp.sweep.resolve import Words

ENDING = ".last.json"


class LastLaunch(NamedTuple):
    """How a sweep was last launched.

    Attributes:
        words: Preset, data and `--set`.
        file: The file that declares it; None for one that is found by its name.
    """

    words: Words
    file: Path | None = None


def remember(results: Path, sweep: str, last: LastLaunch) -> None:
    """Write down what a sweep is launched with.

    Args:
        results: The results folder.
        sweep: Name of the sweep.
        last: What was asked for on the command line.

    Raises:
        UserError: The file cannot be written.
    """
    path = file_of(results, sweep)
    words, data = last.words, last.words.data
    facts = {
        "preset": words.preset,
        "data": str(data.resolve()) if data else None,
        "assignments": words.assignments,
        "file": str(last.file.resolve()) if last.file else None,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(facts))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def recall(results: Path, sweep: str) -> LastLaunch | None:
    """Return how a sweep was last launched; None if it was never launched here.

    Raises:
        UserError: The file is damaged.
    """
    path = file_of(results, sweep)
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        data, file = facts["data"], facts["file"]
        words = Words(
            str(facts["preset"]), Path(data) if data else None, tuple(facts["assignments"])
        )
        return LastLaunch(words, Path(file) if file else None)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error!r}); delete it, and give --preset, --data and --set"
        ) from error


def file_of(results: Path, sweep: str) -> Path:
    """Return the file that says how a sweep was last launched."""
    return results / FOLDER / f"{sweep}{ENDING}"


def launched(results: Path) -> frozenset[str]:
    """Return the names of the sweeps that were launched here."""
    found = (results / FOLDER).glob(f"*{ENDING}")
    return frozenset(path.name.removesuffix(ENDING) for path in found)
