"""The parity bench notices what differs, says what is missing, and refuses what it cannot read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from tgdp.bench.parity.difference import of_entries, of_orders, of_values
from tgdp.bench.parity.report import CHECKS, compare
from tgdp.cli.bench import app
from tgdp.errors import UserError

SMALL = Path(__file__).parents[2] / "parity" / "no_registers.npz"
RTOL = 1e-4
GIVEN = ("config", "weights", "input", "noise")


@pytest.fixture
def arrays():
    with np.load(SMALL) as figures:
        return {name: figures[name] for name in figures.files}


@pytest.fixture
def written(tmp_path):
    def write(arrays):
        path = tmp_path / "figures.npz"
        np.savez(path, allow_pickle=False, **arrays)
        return path

    return write


@pytest.fixture
def bench(monkeypatch):
    """Run `tgdp-bench parity` in this process."""
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")  # so that what the command sets is undone
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, ["parity", *map(str, words)])


def failures(path, rtol=RTOL):
    return {row.name.split(" (")[0] for row in compare(path, rtol).failed}


def test_the_command_passes_and_tells_how_many_checks_there_were(bench):
    done = bench(SMALL)
    assert done.exit_code == 0, done.output
    assert "37 checks, 7 not in the file, 0 above 0.0001; worst:" in done.output
    assert "not in the file: fbank/log_mel" in done.output


def test_a_changed_figure_fails_its_check_and_no_other(arrays, written, bench):
    arrays["contrast/audio_cls"][0, 0] += 0.01
    done = bench(written(arrays))
    assert done.exit_code == 1
    different = [line for line in done.output.splitlines() if line.startswith("different: ")]
    assert different == ["different: contrastive CLS, audio"]
    assert bench(written(arrays), "--rtol", 0.1).exit_code == 0


def test_a_changed_weight_fails_everything_behind_it(arrays, written):
    arrays["weights/blocks_v.0.mlp.fc1.weight"] *= 1.05
    failed = failures(written(arrays))
    assert {"retrieval embedding, image CLS", "predicted pixels, image", "total loss"} <= failed
    assert "retrieval embedding, audio CLS" not in failed
    assert "positions, image" not in failed


def test_the_order_of_the_patches_matters(arrays, written):
    rows, columns = 8, 4
    for name in ("weights/pos_embed_a", "embed/audio_tokens"):
        by_time = arrays[name].reshape(-1, rows, columns, 8).swapaxes(1, 2)
        arrays[name] = by_time.reshape(arrays[name].shape)
    arrays["embed/audio_tokens"] = np.nan_to_num(arrays["embed/audio_tokens"], nan=1.0)
    failed = failures(written(arrays))
    assert {
        "positions, audio",
        "patch embedding + positions, audio, frequency-major",
        "retrieval embedding, audio tokens",
    } <= failed


@pytest.mark.parametrize("value", [1.001, np.inf])
def test_one_wrong_gradient_norm_is_named(arrays, written, value):
    arrays["gradnorm/blocks_v.0.attn.qkv.bias"] *= np.float32(value)
    [row] = compare(written(arrays), RTOL).failed
    assert row.name == "gradient norms, image branch (at encoder.image.blocks.0.attn.qkv.bias)"


def test_a_parameter_without_a_figure_is_named(arrays, written):
    del arrays["gradnorm/decoder_embed.weight"]
    rows = compare(written(arrays), RTOL).rows
    [row] = [row for row in rows if row.name.startswith("gradient norms, decoder")]
    assert "not in the file: decoder.embed.weight" in row.name
    assert row.cells(RTOL)[1] == "31 of 32"


def test_a_gradient_that_ours_does_not_have_is_a_difference(arrays, written):
    arrays["gradnorm/blocks_a.0.norm1_v.weight"] = np.float32(0.5)
    [row] = compare(written(arrays), RTOL).failed
    assert "encoder.audio.blocks.0.norm1_v.weight" in row.name


def test_another_batch_and_fewer_figures_are_taken(arrays, written):
    per_sample = ("input/", "noise/", "embed/", "teacher/", "contrast/audio", "contrast/image")
    one = {
        name: value[:1] if name.startswith(per_sample) else value
        for name, value in arrays.items()
        if name.startswith(("config/", "weights/", *per_sample))
    }
    report = compare(written(one), RTOL)
    assert not report.failed
    missing = {row.name for row in report.rows if row.lacking}
    assert {"total loss", "predicted pixels, audio", "gradient norms, decoder"} <= missing
    assert "contrastive CLS, audio" not in missing


def test_what_nothing_reads_is_told(arrays, written, bench):
    arrays["config/drop_path"] = np.array(0)
    arrays["recon/frames"] = np.zeros(2)
    assert "not read: config/drop_path, recon/frames" in bench(written(arrays)).output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config/num_heads": None}, "no 'config/num_heads'"),
        ({"config/num_heads": np.array(3)}, "model.width must be a multiple of model.num_heads"),
        ({"config/audio_steps": np.array(1.5)}, "must be one whole number"),
        ({"config/mel_bins": np.array(64)}, "'config/mel_bins' must be 128"),
        ({"config/joint_depth": np.array(2)}, "weights do not fit"),
        ({"weights/cls_token_a": None}, "encoder.audio.cls_token"),
        ({"weights/surprise": np.zeros(2)}, "'surprise'"),
        ({"embed/audio_cls": np.zeros((2, 9))}, "'embed/audio_cls': shape (2, 9) in the file"),
        ({"embed/audio_cls": np.full((2, 8), np.nan)}, "not one value was kept"),
        ({"input/image": np.zeros((1, 3, 32, 32))}, "'input/image' is (1, 3, 32, 32), not (2, 3"),
        ({"segments/start_end": np.zeros(3)}, "'segments/start_end'"),
        ({"noise/recon/audio": np.zeros((2, 5))}, "'noise/recon/audio' is (2, 5), not (2, 32)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(arrays, written, change, message):
    changed = {name: value for name, value in {**arrays, **change}.items() if value is not None}
    path = written(changed)
    with pytest.raises(UserError) as refused:
        compare(path, RTOL)
    assert str(refused.value).startswith(str(path))
    assert message in str(refused.value)


def test_a_file_with_nothing_to_check_is_an_error(arrays, written):
    only = {name: value for name, value in arrays.items() if name.split("/")[0] in GIVEN}
    with pytest.raises(UserError, match="nothing to check"):
        compare(written(only), RTOL)


def test_what_is_no_file_of_arrays_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        compare(tmp_path / "absent.npz", RTOL)
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(UserError, match=r"not an \.npz file"):
        compare(tmp_path / "text.npz", RTOL)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(UserError, match=r"not an \.npz file"):
        compare(tmp_path / "one.npy", RTOL)


def test_the_markdown_has_a_row_a_check(bench):
    lines = bench(SMALL, "--markdown").output.splitlines()
    assert len([line for line in lines if line.startswith("| ")]) == 2 + len(CHECKS)


def test_the_difference_is_the_largest_over_the_largest_of_theirs():
    found = of_values(np.array([1.0, 2.5, 0.0]), np.array([1.0, 2.0, np.nan]))
    assert (found.compared, found.total, found.largest, found.relative) == (2, 3, 0.5, 0.25)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(np.nan, 2.0), (np.inf, 2.0), (2.0, np.inf), (1e-9, 0.0)]
)
def test_what_has_no_finite_ratio_is_within_no_tolerance(ours, theirs):
    found = of_values(np.array([0.0, ours]), np.array([0.0, theirs]))
    assert found.relative == np.inf


def test_one_unequal_entry_of_a_mask_is_too_many():
    found = of_entries(np.array([True, False]), np.array([True, True]))
    assert found.largest == 1
    assert not found.within(0.5)


def test_an_order_may_differ_where_the_priorities_do_not():
    ours, theirs = np.array([[0, 2, 1]]), np.array([[0, 1, 2]])
    tied = of_orders(ours, theirs, np.array([[4.0, 1.00001, 1.0]]))
    assert tied.largest == 2
    assert tied.within(RTOL)
    assert "2.5e-06 apart" in tied.note
    assert not of_orders(ours, theirs, np.array([[4.0, 1.1, 1.0]])).within(RTOL)


def test_the_command_line_is_light():
    code = "import sys, tgdp.cli.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
