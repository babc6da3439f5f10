"""Evaluations of files that belong to no run, kept in the results folder and in the store.

    results/evaluations/<weights>/<slug>.json    <weights>: 16 digits of their SHA-256

One MLflow run each, of kind `evaluation`. The same weights by the same protocol on the same data
are one run, whatever the file is called and however often they are recorded.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.evaluation.record import slug, write
from tgdp.sweep.track_run import metric_name, write_tags
from tgdp.sweep.track_store import Store, TrackedRun, opened
from tgdp.sweep.track_tags import TEXT_LIMIT

KIND = "evaluation"

IDENTITY = (
    "weights_sha256",
    "protocol",
    "fingerprint",
    "split",
    "train_split",
    "which",
    "modality",
)
"""Fields that make two evaluations the same one."""


@dataclass(frozen=True)
class FileReport:
    """What a sync of the evaluations of files did.

    Attributes:
        uri: Where the store is.
        created: Evaluations that are new in the store.
        replaced: Evaluations that were measured anew.
        unchanged: Evaluations that the store holds already.
        skipped: A line for each file that could not be read, or not be stored as an artifact.
    """

    uri: str
    created: int = 0
    replaced: int = 0
    unchanged: int = 0
    skipped: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the report in one line."""
        words = f"{self.created} new, {self.replaced} replaced, {self.unchanged} unchanged"
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        return f"evaluations of files: {words}{skipped}, in {self.uri}"


def keep_file(results: Path, result: Mapping[str, Any]) -> Path:
    """Write the evaluation of a file that belongs to no run, in place of an earlier one.

    Args:
        results: The results folder.
        result: As it is kept with a run, and `file` and `weights_sha256` beside.

    Returns:
        The file written.

    Raises:
        UserError: It cannot be written.
    """
    path = _folder(results) / result["weights_sha256"][:16] / f"{slug(result)}.json"
    write(path, result)
    return path


def sync_files(results: Path) -> FileReport:
    """Bring every evaluation of a file into the store; a second time changes nothing.

    Args:
        results: The results folder.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    files = sorted(_folder(results).glob("*/*.json"))
    with opened(results) as store:
        known = {run.tags.get("tgdp.evaluation", ""): run for run in store.runs(KIND)}
        changes: list[str] = []
        skipped: list[str] = []
        for file in files:
            try:
                changes.append(_import(store, file, known))
            except (OSError, ValueError, TypeError, LookupError) as error:
                skipped.append(f"{file}: no evaluation of a file ({error!r}); delete it")
        return FileReport(
            store.uri,
            created=changes.count("created"),
            replaced=changes.count("replaced"),
            unchanged=changes.count("unchanged"),
            skipped=(*skipped, *store.problems),
        )


def _folder(results: Path) -> Path:
    return results / "evaluations"


def _import(store: Store, file: Path, known: Mapping[str, TrackedRun]) -> str:
    """Bring one evaluation into the store and say whether that changed something."""
    text = file.read_text(encoding="utf-8")
    result = json.loads(text)
    name, tags = _identity(result), _tags(result)
    held, stamp = known.get(name), hashlib.sha256(text.encode()).hexdigest()[:16]
    if held and held.tags.get("tgdp.imported") == stamp:
        return "unchanged"
    if held:
        # Stored points cannot be changed.
        store.client.delete_run(held.run_id)
    _write(store, file, result, {**tags, "tgdp.evaluation": name, "tgdp.imported": stamp})
    return "replaced" if held else "created"


def _write(store: Store, file: Path, result: Mapping[str, Any], tags: dict[str, str]) -> None:
    from mlflow.entities import Metric

    stamp = tags.pop("tgdp.imported")
    moment = file.stat().st_mtime_ns // 1_000_000
    run = store.client.create_run(
        store.experiment_id, start_time=moment, tags=tags, run_name=_name(result)
    )
    run_id = str(run.info.run_id)
    metrics = [
        Metric(metric_name(name), float(value), moment, 0)
        for name, value in result["metrics"].items()
        if math.isfinite(value)
    ]
    store.client.log_batch(run_id, metrics=metrics)
    store.keep(run_id, file)
    store.client.set_terminated(run_id, "FINISHED", end_time=moment)
    # Last: an import killed before this line is done again from the start.
    write_tags(store, run_id, {"tgdp.imported": stamp})


def _identity(result: Mapping[str, Any]) -> str:
    words = json.dumps([result.get(field, "") for field in IDENTITY])
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _name(result: Mapping[str, Any]) -> str:
    words = [result["file"], result["protocol"], result["dataset"], result.get("modality", "")]
    return " ".join(word for word in words if word)


def _tags(result: Mapping[str, Any]) -> dict[str, str]:
    fields = {
        "file": result["file"],
        "weights": result["weights_sha256"],
        "which": result["which"],
        "protocol": result["protocol"],
        "modality": result.get("modality", ""),
        "dataset": result["dataset"],
        "fingerprint": result["fingerprint"],
        "split": result["split"],
        "clips": result["n"],
        "missing": len(result["missing"]),
    }
    tags = {f"tgdp.{name}": str(value)[:TEXT_LIMIT] for name, value in fields.items()}
    return {"tgdp.kind": KIND, **tags}
