"""The tracking store: where it is, how it is opened, what is read from it.

`import mlflow` takes seconds and asks the network unless told not to, so that it happens inside
`opened`, after the environment has been set.
"""

import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from tgdp.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_SECONDS = 300.0
"""Longest wait for another import of the same store; 2,000 runs take about two minutes."""

PAGE = 1000
"""Runs asked for at a time."""

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}
"""By default a client waits 246 s for a dead server, and the first run asks the vendor's host."""


@dataclass(frozen=True)
class TrackedRun:
    """What the store holds about one run.

    Attributes:
        run_id: MLflow's name of the run.
        name: Name in the run list.
        status: `SCHEDULED`, `RUNNING`, `FINISHED`, `FAILED` or `KILLED`.
        params: Configuration, flattened.
        metrics: Newest value of each metric.
        tags: Every tag.
    """

    run_id: str
    name: str
    status: str
    params: Mapping[str, str] = field(default_factory=dict[str, str])
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class Store:
    """An opened tracking store.

    Attributes:
        client: MLflow's client.
        experiment_id: The experiment that everything goes into.
        uri: Where the store is.
        problems: A line for each file that could not be stored.
    """

    client: "MlflowClient"
    experiment_id: str
    uri: str
    problems: list[str] = field(default_factory=list[str])

    def runs(self, kind: str) -> list[TrackedRun]:
        """Return the runs of a kind (`cell` or `summary`), oldest first."""
        found: list[TrackedRun] = []
        token: str | None = None
        while True:
            page: Any = self.client.search_runs(
                [self.experiment_id],
                f"tags.`tgdp.kind` = '{kind}'",
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            found.extend(_tracked(run) for run in page)
            token = page.token
            if not token:
                return found

    def keep(self, run_id: str, file: Path, folder: str | None = None) -> None:
        """Store a file with a run; the numbers do not depend on it, so a failure is only noted."""
        client: Any = self.client
        try:
            client.log_artifact(run_id, str(file), folder)
        except Exception as error:  # boto3, paramiko and the like raise what they please.
            self.problems.append(f"{file}: not stored as an artifact ({error})")


def _tracked(run: Any) -> TrackedRun:
    info, data = run.info, run.data
    return TrackedRun(
        info.run_id, info.run_name or "", info.status, data.params, data.metrics, data.tags
    )


def tracking_uri(results: Path) -> str:
    """Return `MLFLOW_TRACKING_URI` where it is set, else the sqlite file of the results folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{results.resolve() / 'mlflow.db'}"


def is_server(uri: str) -> bool:
    """Say whether the store is behind an HTTP server."""
    return uri.startswith(("http://", "https://"))


def prepare_environment() -> None:
    """Keep mlflow quiet, offline and quick to give up; what the user has set stays."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def opened(results: Path) -> Generator[Store]:
    """Open the store for one import or one reading, alone.

    Args:
        results: The results folder; made if absent.

    Raises:
        UserError: The store cannot be reached, read or locked; the message names
            MLFLOW_TRACKING_URI.
    """
    uri = tracking_uri(results)
    _check_reachable(uri)
    prepare_environment()
    # Opening a fresh file from two processes at once crashes mlflow's migration, and two imports
    # at once would create a run twice.
    with _locked(_lock_path(uri, results)), _explained(uri):
        _create_database(uri)
        client = _connect(uri)
        experiment_id = _experiment(client, uri, results)
        _use_write_ahead_log(uri)
        yield Store(client, experiment_id, uri)


def _connect(uri: str) -> "MlflowClient":
    with warnings.catch_warnings():
        # mlflow's own tables use an option that SQLAlchemy is about to drop; not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _create_database(uri: str) -> None:
    database = _sqlite_path(uri)
    if database is None or database.exists():
        return
    # Beside its place and moved there when whole: a migration killed midway leaves a file that no
    # later one can open.
    fresh = database.with_name(f"{database.name}.new")
    for left_over in (fresh, fresh.with_name(f"{fresh.name}-journal")):
        left_over.unlink(missing_ok=True)
    _connect(f"sqlite:///{fresh}")
    fresh.replace(database)


def _check_reachable(uri: str) -> None:
    if not is_server(uri):
        return
    address = urlsplit(uri)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=3).close()
    except OSError as error:
        raise UserError(
            f"tracking server {uri} does not answer ({error}). Nothing is lost: the runs are in "
            "their folders. Start the server or change MLFLOW_TRACKING_URI, then: tgdp-report sync"
        ) from error


def _sqlite_path(uri: str) -> Path | None:
    prefix = "sqlite:///"
    return Path(uri.removeprefix(prefix)) if uri.startswith(prefix) else None


def _lock_path(uri: str, results: Path) -> Path:
    database = _sqlite_path(uri) or results.resolve() / "mlflow.db"
    return database.with_name(f"{database.name}.lock")


@contextmanager
def _locked(path: Path) -> Generator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=LOCK_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{path}: another import has held the lock for {LOCK_SECONDS:g} s"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot write ({error.strerror})") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _explained(uri: str) -> Generator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    path = _sqlite_path(uri)
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        line = str(error).strip().splitlines()[0]
        hint = f". If {path} is damaged, delete it: a sync makes it again" if path else ""
        raise UserError(f"tracking store {uri} (MLFLOW_TRACKING_URI): {line}{hint}") from error


def _experiment(client: "MlflowClient", uri: str, results: Path) -> str:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "tgdp"
    found = client.get_experiment_by_name(name)
    if found is None:
        # The place of the artifacts is frozen here; the default depends on the working folder.
        artifacts = None if is_server(uri) else (results.resolve() / "artifacts").as_uri()
        return client.create_experiment(name, artifact_location=artifacts)
    if found.lifecycle_stage == "deleted":
        raise UserError(
            f"tracking store {uri}: experiment '{name}' was deleted; restore it "
            "(mlflow experiments restore) or choose another with MLFLOW_EXPERIMENT_NAME"
        )
    return str(found.experiment_id)


def _use_write_ahead_log(uri: str) -> None:
    database = _sqlite_path(uri)
    if database is not None and database.exists():
        # Twice as fast, and a dashboard can read while an import writes.
        with closing(sqlite3.connect(database, timeout=20)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
