"""A process is stopped only if it is the one that was started."""

import json
import os
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from slurm.testbed import process

SLEEP = ("/bin/sleep", "4321.5")


@pytest.fixture
def record(tmp_path: Path) -> Generator[Path, None, None]:
    """The record of a process that was started."""
    path = tmp_path / "sleep.json"
    process.start(SLEEP, {"PATH": os.defpath}, path, tmp_path / "log")
    pid = json.loads(path.read_text())["pid"]
    yield path
    process.stop(path, 5)
    os.waitpid(pid, 0)


def test_what_was_started_is_known_again_and_stopped(record: Path) -> None:
    pid = process.living(record)

    assert pid is not None
    assert os.getsid(pid) == pid
    assert process.stop(record, 5)
    assert process.living(record) is None
    assert process.identify(pid) is None
    assert not record.exists()
    assert not process.stop(record, 5)


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    command = ("/bin/sh", "-c", f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 1; done")
    process.start(command, {"PATH": os.defpath}, tmp_path / "record", tmp_path / "log")
    pid = process.living(tmp_path / "record")
    assert process.wait_until((tmp_path / "ready").exists, 10)

    assert process.stop(tmp_path / "record", 0.2)

    assert pid is not None
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL


def test_another_process_of_the_same_number_and_command_is_let_alone(record: Path) -> None:
    fields = json.loads(record.read_text())
    with subprocess.Popen(SLEEP) as foreign:
        reused = record.with_name("reused.json")
        reused.write_text(json.dumps({**fields, "pid": foreign.pid}))
        own_time = process.identify(foreign.pid)
        assert own_time is not None
        other = json.dumps({**fields, "pid": foreign.pid, "started": own_time.started - 1})
        renamed = record.with_name("renamed.json")
        renamed.write_text(
            json.dumps({"pid": foreign.pid, "started": own_time.started, "command": ["slurmd"]})
        )
        for path, text in ((reused, other), (renamed, renamed.read_text())):
            path.write_text(text)
            assert process.living(path) is None
            assert not process.stop(path, 5)

        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"pid": 1, "started": 0, "command": ['])
def test_a_torn_record_names_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "record").write_text(text)

    assert process.living(tmp_path / "record") is None
