"""Commands that only look must answer at once: none of them loads a heavy package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "mlflow", "numpy", "pandas", "submitit", "matplotlib", "optuna", "av")

SCRIPT = """
import atexit, json, sys
atexit.register(lambda: print("LOADED", json.dumps([m for m in {heavy} if m in sys.modules])))
sys.argv = ["tgdp-sweep", *{words}]
from tgdp.cli.sweep import main
main()
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    card = {"format": "tgdp-shards", "version": 1, "name": "toy", "fingerprint": "0" * 16}
    card |= {"splits": {"train": 64, "retrieval": 32}, "num_frames": 16, "sample_rate": 16000}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text(
        json.dumps({**card, "settings": {}, "num_failures": 0})
    )
    return tmp_path / "data"


def start(words: list[str], folder: Path) -> tuple[int, str, list[str]]:
    script = SCRIPT.format(heavy=HEAVY, words=words)
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "TGDP_RESULTS": str(folder / "results")},
        check=False,
    )
    output, _, loaded = ended.stdout.partition("LOADED ")
    return ended.returncode, output + ended.stderr, json.loads(loaded)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["masking", "--help"],
        ["list"],
        ["masking", "--dry-run", "--data", "data"],
        ["status", "masking", "--data", "data"],
        ["status", "--data", "data", "--json"],
        ["plan", "masking", "--data", "data"],
        ["retry", "--failed"],
        ["clean"],
        ["cancel", "--help"],
        ["logs", "--help"],
        ["diff", "--help"],
        ["sync", "--help"],
    ],
    ids=" ".join,
)
def test_looking_loads_nothing_heavy_and_writes_nothing(data: Path, words: list[str]) -> None:
    code, output, loaded = start(words, data.parent)
    assert code == 0, output
    assert loaded == []
    assert [path.name for path in data.parent.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["maskin"], "Did you mean 'masking'?"),
        (["masking", "--preset", "tinny"], "unknown preset 'tinny'"),
        (["masking", "--data", "absent"], "no such folder"),
        (["masking", "--data", "data", "--set", "training.stepps=3"], "'training.steps'"),
        (["masking", "--data", "data", "--set", "training.steps=x"], "training.steps"),
        (["masking", "--data", "data", "--seeds", "1,1"], "--seeds"),
        (["masking", "--data", "data", "--jobs", "0"], "--jobs"),
        (["masking", "--data", "data", "--cluster", "slrm"], "'local'"),
        (["masking", "--data", "data", "--cluster", "debug", "--jobs", "2"], "--jobs 2"),
        (["masking", "--data", "data", "--results", "data/dataset.json"], "--results DIR"),
        (["run", "absent.py"], "no such sweep file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_clear_error_and_leaves_nothing(
    data: Path, words: list[str], reason: str
) -> None:
    code, output, loaded = start(words, data.parent)
    assert code == 2, output
    assert reason in output
    assert "Traceback" not in output
    assert loaded == []
    assert [path.name for path in data.parent.iterdir()] == ["data"]
