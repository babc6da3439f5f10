"""The MLflow UI on this machine, opened where the charts are."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tgdp.errors import UserError
from tgdp.report.views import View, view
from tgdp.sweep import track
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.track_store import is_server, prepare_environment, tracking_uri

HOST = "127.0.0.1"
FIRST_PORT, PORTS = 5000, 50
READY_SECONDS = 180.0
"""A cold start on a busy machine was measured at 75 s."""


@dataclass(frozen=True)
class Links:
    """Where to look.

    Attributes:
        charts: Title and address of each table's charts, newest first.
        runs: Address of the list of runs.
        table: Address of the newest table, if there is one.
    """

    charts: tuple[tuple[str, str], ...]
    runs: str
    table: str | None = None


def links(results: Path, root: str) -> Links:
    """Return the addresses below a server, from what the store holds.

    Args:
        results: The results folder.
        root: Address of the server.

    Raises:
        UserError: The store cannot be reached.
    """
    tracked = track.read(results)
    root = f"{root.rstrip('/')}/"
    pages = _pages(tracked)
    experiment = tracked.experiment_id
    charts = tuple((page.title, page.link(root, experiment, "CHART")) for page in pages)
    if pages:
        table = f"{root}#/experiments/{experiment}/runs/{tracked.summaries[0].run_id}"
        return Links(charts, pages[0].link(root, experiment, "TABLE"), table)
    return Links((), f"{root}#/experiments/{experiment}/runs?workflowType=machine_learning")


def _pages(tracked: track.Tracked) -> list[View]:
    pages: list[View] = []
    for summary in tracked.summaries:
        names = (name for seeds in summary.rows.values() for name in seeds.values())
        runs = (tracked.runs[name] for name in names if name in tracked.runs)
        dataset = next((run.tags.get("tgdp.dataset", "") for run in runs), "")
        try:
            pages.append(view(load_sweep(summary.sweep), summary, dataset))
        except UserError:
            continue  # A sweep file that is no longer there has no charts.
    return pages


def choose_port(wanted: int | None) -> int:
    """Return the port to listen on.

    Args:
        wanted: The port asked for; None for the first free one from 5000.

    Raises:
        UserError: The port asked for is in use, or none is free.
    """
    if wanted is not None:
        if _is_free(wanted):
            return wanted
        raise UserError(f"--port {wanted}: in use; leave --port out to take the next free one")
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        if _is_free(port):
            return port
    raise UserError(f"no free port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}; give --port")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # A port that a stopped server has just left counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def external_server(results: Path) -> str | None:
    """Return the tracking server that is already running, if the store is behind one."""
    uri = tracking_uri(results)
    return uri if is_server(uri) else None


@contextmanager
def serving(results: Path, port: int) -> Generator[subprocess.Popen[bytes]]:
    """Run a server while the body runs; stop it and its children afterwards.

    Args:
        results: The results folder; the server's own words go to `dashboard.log` in it.
        port: Where it listens.

    Raises:
        UserError: The server ends, or does not answer in time; the message names its log.
    """
    results.mkdir(parents=True, exist_ok=True)
    log = results / "dashboard.log"
    with log.open("wb") as file:
        # A session of its own, so that all of its children can be ended with it.
        server = subprocess.Popen(
            _command(results, port),
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            wait_until_ready(server, port, log)
            yield server
        finally:
            _stop(server)


def _command(results: Path, port: int) -> Sequence[str]:
    uri, artifacts = tracking_uri(results), (results.resolve() / "artifacts").as_uri()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    command += ["--default-artifact-root", artifacts, "--host", HOST, "--port", str(port)]
    return [*command, "--workers", "1"]


def _environment() -> dict[str, str]:
    prepare_environment()
    # Jobs are for language model judges; without them it is two processes and not ten.
    return {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once the server answers.

    Raises:
        UserError: It has ended, or does not answer in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise UserError(f"the dashboard ended with code {server.returncode}; see {log}")
        if _answers(port):
            return
        time.sleep(0.3)
    raise UserError(f"the dashboard did not answer within {READY_SECONDS:g} s; see {log}")


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2) as reply:
            return reply.status == 200
    except (OSError, urllib.error.URLError):
        return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, sign)
        except ProcessLookupError:
            return
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            continue
