"""The store as it is used: processes at once, a real server, the command line."""

import signal
import subprocess
import sys
import urllib.request

import pytest
from typer.testing import CliRunner

from tests.fake_runs import cells, masking, write_all
from tgdp.cli.report import app
from tgdp.sweep import track

SYNC = (
    "import sys; from pathlib import Path; from tgdp.sweep.track import sync; "
    "sync(Path(sys.argv[1]))"
)
DASHBOARD = "from tgdp.cli.report import app; app()"


@pytest.fixture(autouse=True)
def _own_store(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)


@pytest.mark.slow
def test_two_imports_at_once_into_a_fresh_file_make_each_run_once(tmp_path):
    write_all(tmp_path, steps=20)
    command = [sys.executable, "-c", SYNC, str(tmp_path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert errors == ["", ""]
    import sqlite3

    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        query = "select value, count(*) from tags where key = 'tgdp.signature' group by value"
        counts = dict(database.execute(query).fetchall())
    assert counts == {cell.signature: 1 for cell in cells()}
    assert track.sync(tmp_path).unchanged == 10


@pytest.mark.slow
def test_the_dashboard_is_a_server_like_any_other_and_ctrl_c_ends_it(tmp_path, monkeypatch):
    behind, results = tmp_path / "server", tmp_path / "results"
    others, made = cells("other", seeds=(0,)), write_all(results, steps=20)
    track.sync_sweep(behind, masking(), others, "tiny")
    command = [sys.executable, "-uc", DASHBOARD, "dashboard", "--results", str(behind)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(process.stdout.readline().strip())
            assert process.poll() is None
        address = next(line for line in lines if "compareRunsMode=CHART" in line)
        root = address.partition("/#")[0]
        with urllib.request.urlopen(root, timeout=30) as reply:
            assert reply.status == 200
        monkeypatch.setenv("MLFLOW_TRACKING_URI", root)
        over_http = check_server(results, made, root)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{root}/health", timeout=5)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert track.read(behind).runs == over_http.runs


def check_server(results, made, root):
    assert track.sync_sweep(results, masking(), made, "tiny").created == 10
    report = track.sync_sweep(results, masking(), made, "tiny")
    assert (report.unchanged, report.points, report.skipped) == (10, 0, ())
    listed = CliRunner().invoke(app, ["dashboard", "--results", str(results), "--no-sync"])
    assert f"{root}/#/experiments/" in listed.output
    over_http = track.read(results)
    assert over_http.runs.keys() == {cell.signature for cell in made}
    return over_http


def test_tables_are_written_by_the_command_line(tmp_path):
    made = write_all(tmp_path, steps=20)
    track.sync_sweep(tmp_path, masking(), made, "tiny")
    done = CliRunner().invoke(app, ["tables", "masking", "--results", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "masking.md" in done.output
    assert "Next: tgdp-report dashboard" in done.output
    assert (tmp_path / "tables" / "masking.tex").exists()


def test_nothing_run_yet_says_what_to_run(tmp_path):
    done = CliRunner().invoke(app, ["tables", "--results", str(tmp_path)])
    assert done.exit_code == 0
    assert "tgdp-sweep masking" in done.output


def test_help_needs_neither_pandas_nor_mlflow():
    code = (
        "import sys, tgdp.cli.report as r; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(r.app, ['tables', '--help']).exit_code == 0; "
        "print([m for m in ('pandas', 'mlflow', 'matplotlib', 'torch') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
