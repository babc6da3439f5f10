"""Our method against figures of the released model file: the same weights, inputs and noise."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tgdp.bench.parity.figures import read_figures
from tgdp.bench.parity.report import CHECKS, compare, run
from tgdp.bench.parity.thin import BULKY, EVERY, thin

RTOL = 1e-4
SPECTROGRAM = "log-mel"
"""Depends on the Fourier transform that the process began with: see test_log_mel."""

HERE = [check for check in CHECKS if check.name != SPECTROGRAM]


@pytest.mark.parametrize("check", HERE, ids=lambda check: check.name)
def test_ours_is_the_released_models(check, replay):
    row = run(check, replay)
    assert not row.lacking
    assert row.difference.within(RTOL), row


def test_models_of_other_sizes_are_too(small_file):
    report = compare(small_file, RTOL)
    assert not report.failed
    assert not report.unread


@pytest.mark.shared
@pytest.mark.slow
def test_the_whole_bench_passes_on_the_full_file(golden_file):
    command = [Path(sys.executable).with_name("tgdp-bench"), "parity", golden_file, "--markdown"]
    # Two threads, as where the figures were made: they split the work, and so round, alike.
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CHECKS)} checks, 0 above 0.0001" in done.stdout
    assert "not in the file" not in done.stdout


@pytest.mark.shared
def test_the_copy_is_the_full_file_wherever_it_kept_something(figures_file, golden_file):
    copy, full = read_figures(figures_file).arrays, read_figures(golden_file).arrays
    assert copy.keys() == full.keys()
    for name, value in copy.items():
        kept = ~np.isnan(value)
        assert value.dtype == full[name].dtype
        assert np.array_equal(value[kept], full[name][kept]), name
        assert kept.all() or name in BULKY, name
    assert figures_file.stat().st_size < 4.5e6


def test_a_thinned_copy_loses_rows_of_bulky_outputs_and_nothing_else(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "recon/audio_pred": rng.normal(size=(2, 40, 3)).astype(np.float32),
        "input/audio": rng.normal(size=(2, 40, 3)).astype(np.float32),
    }
    np.savez(tmp_path / "full.npz", **arrays)
    thin(tmp_path / "full.npz", tmp_path / "copy.npz")
    copy = read_figures(tmp_path / "copy.npz").arrays
    assert np.array_equal(copy["input/audio"], arrays["input/audio"])
    rows, full = copy["recon/audio_pred"].reshape(-1, 3), arrays["recon/audio_pred"].reshape(-1, 3)
    assert np.array_equal(rows[::EVERY], full[::EVERY])
    assert np.isnan(rows).sum() == full.size - rows[::EVERY].size


def test_the_documented_table_has_the_rows_of_the_bench():
    text = (Path(__file__).parents[2] / "docs" / "upstream.md").read_text(encoding="utf-8")
    section = text.split("## Parity", 1)[1].split("\n## ", 1)[0]
    cells = [line[2:].split(" | ") for line in section.splitlines() if line.startswith("| ")]
    names = [row[0].split(" (")[0] for row in cells[2:]]
    assert names == [check.name for check in CHECKS]
    assert {row[4].rstrip(" |") for row in cells[2:]} == {"yes"}
