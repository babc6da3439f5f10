"""The numbers of sanity rows: out of `results/sanity/`, where they are measured if they are not."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.report.sanity_request import Request

Say = Callable[[str], None]


class MeasuringError(UserError):
    """What is asked for cannot be measured here."""


def numbers(results: Path, request: Request, progress: Say) -> Mapping[str, Any]:
    """Return the number of clips `n` and the `metrics`, by their names without protocol and data.

    Args:
        results: The results folder.
        request: What is asked for.
        progress: Called with words for what is measured.

    Raises:
        MeasuringError: It is not there and cannot be measured.
        UserError: A file cannot be read or written.
    """
    file = request.file(results)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {"n": found["n"], "metrics": found["metrics"]}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: cannot be read ({error}); delete it: it is measured") from error
    found = {**_measured(request, results / "features", progress), "facts": request.facts()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{file}: cannot write ({error.strerror})") from error
    return found


def _measured(request: Request, cache: Path, progress: Say) -> dict[str, Any]:
    # Said before the import: torch takes seconds, and most tables are printed from what is kept.
    progress(f"Measuring {request} ...")
    from tgdp.report.sanity_measure import measure

    try:
        return measure(request, cache, progress)
    except UserError as error:
        raise MeasuringError(str(error)) from error
