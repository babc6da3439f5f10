"""One run directory into one MLflow run, so that doing it again changes nothing."""

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.config import Config, flatten, load
from tgdp.sweep.track_stamp import PICTURES, stamp_of
from tgdp.sweep.track_store import Store, TrackedRun
from tgdp.sweep.track_tags import TEXT_LIMIT, describe
from tgdp.training.run_directory import RunDirectory, State, Status

BATCH = 1000
"""Points in one call: the most a server accepts."""

EVALUATED = re.compile(r"[^/]+/v\d+/")
"""How the names of what was measured after the end of a run begin: protocol and its version."""

STATUS: dict[State, str] = {
    "new": "SCHEDULED",
    "running": "RUNNING",
    "interrupted": "KILLED",
    "diverged": "FAILED",
    "failed": "FAILED",
    "trained": "KILLED",
    "done": "FINISHED",
}

Point = tuple[float, int]
"""Value and time stamp (milliseconds) of a metric at one step."""

Points = dict[tuple[str, int], Point]


@dataclass(frozen=True)
class Imported:
    """What one import did.

    Attributes:
        run: The MLflow run as it is now known.
        change: `unchanged`, `updated`, `created` or `replaced`.
        points: Points written.
    """

    run: TrackedRun
    change: str
    points: int = 0


def import_run(
    store: Store, directory: RunDirectory, known: TrackedRun | None, name: str | None = None
) -> Imported:
    """Bring one run directory into the store.

    A step that is taken again after a restart usually gives the same values; then the first points
    stay. Where it does not, the MLflow run is replaced, because stored points cannot be changed.

    Args:
        store: The opened store.
        directory: The run directory.
        known: The MLflow run of the same signature, if there is one.
        name: Name in the run list.

    Raises:
        UserError: The configuration in the folder cannot be read.
    """
    stamp = stamp_of(directory)
    if known and known.tags.get("tgdp.imported") == stamp:
        return Imported(known, "unchanged")
    config = load(directory.config_file)
    status, points = directory.status(), _points(directory)
    stored = _stored(store, known, points) if known else {}
    change = "updated" if known else "created"
    if known and (_is_stale(stored, points, status) or _has_lost(known, points)):
        store.client.delete_run(known.run_id)
        known, stored, change = None, {}, "replaced"
    run_id = known.run_id if known else _create(store, directory, name, config)
    written = _write_points(store, run_id, points, stored)
    _write_params(store, run_id, config, known)
    if not _write_artifacts(store, run_id, directory):
        stamp = stamp_of(directory, whole=False)  # The next import tries them again.
    _write_status(store, run_id, status)
    # Last: an import killed before this line is done again from the start.
    tags = {**describe(directory, config), "tgdp.imported": stamp}
    write_tags(store, run_id, tags)
    run = TrackedRun(run_id, name or "", STATUS[status.state], tags=tags)
    return Imported(run, change, written)


def write_tags(store: Store, run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a run in one call."""
    from mlflow.entities import RunTag

    if tags:
        store.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def metric_name(name: str) -> str:
    """Return the name with what MLflow refuses (`@`, `%`, brackets) replaced."""
    return re.sub(r"[^\w\-. :/]", "_", name)


def _points(directory: RunDirectory) -> Points:
    """Return every number of a run; those of its end stand at the newest step."""
    points: Points = {}
    for event in directory.events():
        if event.get("kind") == "metric":
            for name, value in _finite(event["values"]):
                points[metric_name(name), int(event["step"])] = (value, int(event["time"]))
    step = max((step for _, step in points), default=0)
    result, moment = directory.result() or {}, _moment(directory.result_file)
    for name, value in _finite(result.get("metrics", {})):
        points[metric_name(name), step] = (value, moment)
        if short := short_name(name):
            points[short, step] = (value, moment)
    moment = max(map(_moment, directory.evaluations.glob("*.json")), default=0)
    for found in directory.evaluation_results():
        for name, value in _finite(found["metrics"]):
            points[metric_name(name), step] = (value, moment)
    return points


def _moment(file: Path) -> int:
    return file.stat().st_mtime_ns // 1_000_000 if file.exists() else 0


def short_name(name: str) -> str | None:
    """Return a name for the UI, which cuts column heads after 14 characters: `a2v_r01`.

    Args:
        name: Full metric name; only those of retrieval have a short one, the others return None.
    """
    found = re.fullmatch(r"retrieval/[^/]+/(a2v|v2a)/r(\d+)", name)
    return f"{found[1]}_r{int(found[2]):02d}" if found else None


def _finite(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers; MLflow would store an infinity as 1.8e308, which ruins every axis."""
    for name, value in values.items():
        if isinstance(value, int | float) and not math.isinf(value):
            yield name, float(value)


def _stored(store: Store, known: TrackedRun, points: Points) -> Points:
    stored: Points = {}
    for key in {key for key, _ in points} & set(known.metrics):
        for metric in store.client.get_metric_history(known.run_id, key):
            stored[key, int(metric.step)] = (float(metric.value), int(metric.timestamp))
    return stored


def _is_stale(stored: Points, points: Points, status: Status) -> bool:
    """Say whether the store holds a point that the run directory contradicts.

    Points beyond the newest step are no contradiction while the run goes on: it was put back to a
    checkpoint and will take those steps again.
    """
    newest = max((step for _, step in points), default=0)
    for (key, step), (value, _) in stored.items():
        if key.startswith("perf/"):  # Speed is never the same twice.
            continue
        if step > newest and status.state != "done":
            continue
        now = points.get((key, step))
        if now is None or not _same(now[0], value):
            return True
    return False


def _has_lost(known: TrackedRun, points: Points) -> bool:
    """Say whether the store holds a number of an evaluation whose file is gone."""
    names = {name for name, _ in points}
    return any(EVALUATED.match(name) and name not in names for name in known.metrics)


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def _create(store: Store, directory: RunDirectory, name: str | None, config: Config) -> str:
    first = next((event.get("time") for event in directory.events()), None)
    start = int(first or directory.status().updated * 1000 or time.time() * 1000)
    run = store.client.create_run(
        store.experiment_id,
        start_time=start,
        run_name=name or f"{config.data.name} seed={config.seed} {directory.name}",
        tags={"tgdp.kind": "cell", "tgdp.signature": directory.name},
    )
    return str(run.info.run_id)


def _write_points(store: Store, run_id: str, points: Points, stored: Points) -> int:
    from mlflow.entities import Metric

    fresh = [
        Metric(key, value, moment, step)
        for (key, step), (value, moment) in points.items()
        if (key, step) not in stored
    ]
    for start in range(0, len(fresh), BATCH):
        store.client.log_batch(run_id, metrics=fresh[start : start + BATCH])
    return len(fresh)


def _write_params(store: Store, run_id: str, config: Config, known: TrackedRun | None) -> None:
    from mlflow.entities import Param

    # A stored param cannot be changed; only runtime fields could differ, and the first ones stay.
    held: Mapping[str, str] = known.params if known else {}
    values = {key: str(value)[:TEXT_LIMIT] for key, value in flatten(config).items()}
    params = [Param(key, value) for key, value in values.items() if key not in held]
    for start in range(0, len(params), 100):
        store.client.log_batch(run_id, params=params[start : start + 100])


def _write_artifacts(store: Store, run_id: str, directory: RunDirectory) -> bool:
    """Store the files of a run; say whether all of its pictures and evaluations arrived."""
    for file in (directory.config_file, directory.result_file):
        if file.exists():
            store.keep(run_id, file)
    before = len(store.problems)
    more = (*sorted(directory.path.glob(PICTURES)), *sorted(directory.evaluations.glob("*.json")))
    for file in more:
        store.keep(run_id, file, file.parent.name)
    return len(store.problems) == before


def _write_status(store: Store, run_id: str, status: Status) -> None:
    word = STATUS[status.state]
    if status.state in ("new", "running"):
        store.client.update_run(run_id, status=word)
    else:
        store.client.set_terminated(run_id, word, end_time=int(status.updated * 1000))
