"""As its user would: from media files to the table, by the commands of the README."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ONE_ROW = """\
'''One row, for clips of the world.'''
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant

SWEEP = Sweep("one", "One row", "Do real clips go through?", "", (Variant("row"),), RETRIEVAL)
"""

QUICK = ["--set", "training.steps=4", "--set", "training.batch_size=8", "--seeds", "1"]


def run(*words: object, code: int = 0, results: Path | None = None) -> str:
    """Return what a command printed, after checking its exit code."""
    environment = {**os.environ, "COLUMNS": "120"}
    if results is not None:
        environment["TGDP_RESULTS"] = str(results)
    program, *rest = (str(word) for word in words)
    command = [str(Path(sys.executable).with_name(program)), *rest]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    run("tgdp-data", "synth", folder / "clips", "--clips", 32, "--workers", 2)
    run("tgdp-data", "prepare", folder / "clips", folder / "small", "--audio", "wav")
    return folder / "small"


@pytest.fixture(scope="module")
def swept(data, tmp_path_factory) -> tuple[Path, str]:
    results = tmp_path_factory.mktemp("results")
    return results, run("tgdp-sweep", "masking", "--data", data, *QUICK, results=results)


def test_the_sweep_ends_with_its_table_and_the_next_commands(swept):
    results, printed = swept
    for words in ("Contrastive mask ratio", "0.50", "1/1", "N = 16", "tgdp-report dashboard"):
        assert words in printed
    for suffix in ("md", "csv", "tex"):
        assert (results / "tables" / f"masking.{suffix}").stat().st_size > 500
    assert (results / "figures" / "masking.png").stat().st_size > 10_000
    assert len(list((results / "runs").iterdir())) == 5


def test_started_again_it_runs_nothing_and_says_the_same(swept, data):
    results, _ = swept
    before = {path: path.stat().st_mtime_ns for path in results.glob("runs/*/events.jsonl")}
    printed = run("tgdp-sweep", "masking", "--data", data, *QUICK, results=results)
    assert "5 done" in printed
    assert before == {p: p.stat().st_mtime_ns for p in results.glob("runs/*/events.jsonl")}
    plan = run("tgdp-sweep", "masking", "--data", data, *QUICK, "--dry-run", results=results)
    assert "5 done" in plan


def test_every_number_of_the_table_leads_to_its_run(swept):
    results, _ = swept
    run("tgdp-report", "tables", results=results)
    with (results / "tables" / "masking.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * 6
    known = {path.name for path in (results / "runs").iterdir()}
    for row in rows:
        assert set(row["signatures"].split()) <= known
        assert row["unit"] == "%"
        assert 0 <= float(row["mean"]) <= 100


def test_one_run_and_its_checkpoint_measured_again_agree(data, tmp_path):
    words = ["--data", data, "--set", "training.steps=3", "--set", "training.batch_size=8"]
    printed = run("tgdp-train", *words, results=tmp_path)
    (folder,) = (tmp_path / "runs").iterdir()
    assert str(folder) in printed
    again = run("tgdp-eval", "retrieval", folder)
    shown = [line for line in printed.splitlines() if "→" in line]
    assert len(shown) == 2
    assert all(line in again for line in shown)


def test_real_clips_go_through_to_the_table(shared, tmp_path):
    prepared = tmp_path / "real"
    clips = shared / "real_clips" / "clips.csv"
    printed = run("tgdp-data", "prepare", clips, prepared, "--workers", 2)
    assert "14 clips" in printed
    words = ["--data", prepared, "--seeds", 1, "--set", "training.steps=3"]
    sweep = tmp_path / "one.py"
    sweep.write_text(ONE_ROW)
    printed = run("tgdp-sweep", "run", sweep, *words, results=tmp_path / "results")
    assert "RETRIEVAL IS AMONG THE TRAINING CLIPS" in printed
    assert "N = 14" in printed


BAD = [
    (["tgdp-sweep", "maskin"], "unknown sweep 'maskin'. Did you mean 'masking'?"),
    (["tgdp-sweep", "masking", "--preset", "tinny"], "unknown preset 'tinny'. Did you mean 'tiny'"),
    (
        ["tgdp-sweep", "masking", "--set", "teacher.momentun=0.9"],
        "unknown key 'teacher.momentun'. Did you mean 'teacher.momentum'",
    ),
    (["tgdp-sweep", "masking", "--set", "training.steps=many"], "training.steps: Input should be"),
    (
        ["tgdp-train", "--set", "contrastive.mask.ratio=1.0"],
        "contrastive.mask.ratio: Input should be less than 1",
    ),
    (["tgdp-sweep", "masking", "--data", "/no/such/folder"], "/no/such/folder: no such folder"),
    (["tgdp-sweep", "masking", "--preset", "paper"], "give the prepared data with --data"),
    (["tgdp-sweep", "masking", "--results", "/proc/nowhere"], "/proc/nowhere"),
    (["tgdp-data", "prepare", "/no/such.csv", "/tmp/never-made"], "/no/such.csv"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_answered_with_the_mend(words, message, tmp_path):
    printed = run(*words, code=2, results=tmp_path / "results")
    assert message in " ".join(printed.split())
    assert "Traceback" not in printed
    assert not (tmp_path / "results").exists()
    assert not Path("/tmp/never-made").exists()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1.5 MB, less than a checkpoint takes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_named_and_leaves_no_half_checkpoint(data, small_disk):
    words = ["--data", data, "--set", "training.steps=3", "--results", small_disk / "results"]
    printed = " ".join(run("tgdp-train", *words, code=2).split())
    assert "step-00000003.pt: cannot write the checkpoint (No space left on device)" in printed
    assert not list(small_disk.rglob("*.pt"))
    assert not list(small_disk.rglob("result.json"))
    printed = " ".join(run("tgdp-data", "synth", small_disk / "clips", code=2).split())
    assert "No space left on device" in printed


def test_a_folder_that_cannot_be_written_is_named(data, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    out = small_disk / "results"
    for words in (
        ["tgdp-sweep", "masking", "--data", data, "--results", out],
        ["tgdp-train", "--data", data, "--results", out],
        ["tgdp-data", "synth", out],
        ["tgdp-data", "prepare", data.parent / "clips", out],
    ):
        assert f"error: {small_disk}" in " ".join(run(*words, code=2).split())


def test_data_of_another_version_is_refused(data, tmp_path):
    import shutil

    other = shutil.copytree(data, tmp_path / "other")
    card = other / "dataset.json"
    card.write_text(card.read_text().replace('"version": 1', '"version": 99'))
    printed = run("tgdp-sweep", "masking", "--data", other, code=2, results=tmp_path / "results")
    assert "field 'version' is 99, but this program reads 1" in " ".join(printed.split())


def test_a_manifest_with_a_missing_field_or_an_unknown_label_is_refused(tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("index,mid,display_name\n0,/m/1,Dog\n")
    manifest = tmp_path / "list.json"
    manifest.write_text('{"data": [{"video_id": "a", "labels": "/m/1"}]}')
    printed = run("tgdp-data", "prepare", manifest, tmp_path / "out", code=2)
    assert "list.json" in printed
    manifest.write_text('{"data": [{"video_id": "a", "raw_video_path": "a.mp4", "labels": "Dig"}]}')
    words = ["tgdp-data", "prepare", manifest, tmp_path / "out", "--labels", labels]
    printed = " ".join(run(*words, code=2).split())
    assert "Dig" in printed
    assert "Dog" in printed
    assert not (tmp_path / "out").exists()
