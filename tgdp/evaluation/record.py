"""One evaluation of a run, kept in its folder: `evaluations/<slug>.json`, replaced whole."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.training.run_directory import RunDirectory

NAMED_BY = ("protocol", "dataset", "split", "which")
"""What every evaluation says, beside its metrics; a probe's file is named by its modality too."""


def keep(run: RunDirectory, result: Mapping[str, Any]) -> Path:
    """Write an evaluation into the folder of its run, in place of an earlier one of that name.

    Args:
        run: Whose weights were measured.
        result: Plain JSON types; fields as in docs/design/0007-evaluation-jobs.md.

    Returns:
        The file.

    Raises:
        UserError: A field is missing or empty, a metric is not named by protocol and data, or the
            file cannot be written.
    """
    file = run.evaluations / f"{slug(result)}.json"
    _check(file, result)
    write(file, result)
    return file


def write(file: Path, result: Mapping[str, Any]) -> None:
    """Write an evaluation into a file, whose folder is made.

    Raises:
        UserError: It cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(result, indent=1) + "\n")
    except OSError as error:
        raise UserError(f"{file}: cannot write the evaluation ({error.strerror})") from error


def slug(result: Mapping[str, Any]) -> str:
    """Return what an evaluation is called: `probe-linear-v1-embedded-probe_test-last-av`.

    Args:
        result: Protocol, dataset, split and which weights; of a probe, its modality.

    Raises:
        UserError: One of them is missing or empty.
    """
    missing = [name for name in NAMED_BY if not result.get(name)]
    if missing:
        raise UserError(
            f"evaluation: no {', '.join(missing)}; needed are {', '.join(NAMED_BY)} and metrics"
        )
    words = [str(result[name]) for name in NAMED_BY]
    if modality := result.get("modality"):
        words.append(str(modality))
    return re.sub(r"[^\w.-]", "-", "-".join(words))


def metric_prefix(protocol: str, dataset: str, which: str, modality: str = "") -> str:
    """Return how the metrics of an evaluation begin: `probe-linear/v1/embedded/best/av/`.

    Args:
        protocol: Name and version, so that versions never share a column.
        dataset: Name of the data.
        which: Which weights; `last` is not said.
        modality: Of a probe.
    """
    words = (protocol, dataset, "" if which == "last" else which, modality)
    return "".join(f"{word}/" for word in words if word)


def _check(file: Path, result: Mapping[str, Any]) -> None:
    if not result.get("metrics"):
        raise UserError(f"{file}: an evaluation without metrics is not kept")
    prefix = metric_prefix(result["protocol"], result["dataset"], result["which"])
    for name in result["metrics"]:
        if not name.startswith(prefix):
            raise UserError(f"{file}: metric '{name}' does not begin with '{prefix}'")
