"""Timed steps: what is compared, in what order, and what is said of it."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from tgdp.bench.step import Request, find_device, time_steps
from tgdp.bench.step_cases import (
    CASES,
    Contender,
    configure,
    contenders,
    on_device,
    parse_against,
    parse_batches,
    synthetic_batch,
)
from tgdp.bench.step_profile import UPDATE, Spent, on_gpu, summarise
from tgdp.bench.step_race import Race, run_race
from tgdp.bench.step_rows import HEADINGS, OUT_OF_MEMORY, Row, append_csv, quartiles, table
from tgdp.errors import UserError
from tgdp.model.operations import operations
from tgdp.model.schedules import is_guided

CPU = torch.device("cpu")
ROW = Row(
    date="2026-01-31",
    device="cpu, 1 threads",
    torch="2.11.0",
    preset="tiny",
    case="dual pass",
    contender="plain",
    batch=4,
    precision="float32",
    median_ms=30.0,
    q25_ms=29.0,
    q75_ms=31.0,
    samples_per_s=133.3,
    mfu=None,
    peak_gib=None,
    operations_per_sample=1000,
)


def test_the_cases_are_one_pass_two_passes_and_two_with_a_teacher():
    single, dual, teacher = (configure("paper", (), case, 4) for case in CASES)
    assert (single.passes, single.contrastive.mask.ratio) == ("single", 0.75)
    assert (dual.passes, dual.contrastive.mask.ratio) == ("dual", 0.5)
    assert not single.teacher.enabled
    assert not dual.teacher.enabled
    assert teacher.teacher.enabled
    assert teacher.is_guided
    assert teacher.distills
    assert {config.training.batch_size for config in (single, dual, teacher)} == {4}


def test_what_is_set_holds_for_every_case():
    words = ("model.num_registers=2", "contrastive.mask.ratio=0.25")
    single, dual, _ = (configure("tiny", words, case) for case in CASES)
    assert single.model.num_registers == dual.model.num_registers == 2
    assert (single.contrastive.mask.ratio, dual.contrastive.mask.ratio) == (0.75, 0.25)


@pytest.mark.parametrize(
    ("word", "mend"),
    [
        ("training.batch_size=8", "--batch"),
        ("runtime.compile=true", "--compile"),
        ("teacher.enabled=true", "--case"),
        ("passes=single", "--case"),
        ("model.wide=8", "model.width"),
    ],
)
def test_a_key_that_is_not_for_set_names_what_is(word, mend):
    with pytest.raises(UserError, match=mend):
        configure("tiny", (word,), "dual")


def test_an_unknown_case_lists_the_valid_ones():
    with pytest.raises(UserError, match="dual, single, teacher"):
        configure("tiny", (), "triple")


def test_batches_are_numbers_each_once():
    assert parse_batches(None) == ()
    assert parse_batches("16, 32") == (16, 32)
    for text in ("", "1", "a", "4,4", "4;8", "-4"):
        with pytest.raises(UserError, match="--batch"):
            parse_batches(text)


def test_only_plain_can_be_compared_with():
    assert parse_against("plain")
    assert not parse_against(None)
    with pytest.raises(UserError, match="plain"):
        parse_against("released")


def test_plain_comes_first_and_what_compiles_only_where_asked():
    names = [one.name for one in contenders(compiled=True, graphed=False, plain=True)]
    assert names == ["plain", "ours", "ours compiled"]
    names = [one.name for one in contenders(compiled=True, graphed=True, plain=False)]
    assert names == ["ours", "ours, graph", "ours compiled", "ours compiled, graph"]
    assert [one.name for one in contenders(compiled=False, graphed=False, plain=False)] == ["ours"]


def test_a_cpu_computes_in_float32_and_a_batch_is_the_same_again():
    config = on_device(configure("paper", (), "teacher", 2), CPU)
    assert config.training.precision == "float32"
    first, second = synthetic_batch(config, CPU), synthetic_batch(config, CPU)
    assert first.audio.shape == (2, 416, 128)
    assert first.image.shape == (2, 3, 224, 224)
    assert torch.equal(first.image, second.image)


@pytest.mark.parametrize(
    "word", ["contrastive.mask.warmup_steps=50", "contrastive.mask.warmup_epochs=2"]
)
def test_the_steps_are_those_at_the_end_of_all_schedules(word):
    config = configure("tiny", (word,), "teacher", 2)
    moment = synthetic_batch(config, CPU).moment
    assert is_guided(config.contrastive.mask, moment)
    assert moment.progress == 1


def test_devices_that_are_not_there_are_refused():
    assert find_device("cpu") == CPU
    for name in ("cuda:99", "tpu", "meta"):
        with pytest.raises(UserError, match="--device"):
            find_device(name)


def _contender(name, log, fails=lambda: False):
    def take(_):
        log.append(name)
        if fails():
            raise torch.OutOfMemoryError

    return Contender(name, lambda *_: take, lambda *_: "float32")


def _race(*members, steps=2, warmup=0):
    config = configure("tiny", (), "single", 2)
    race = Race(steps, warmup, compiled_warmup=warmup)
    return run_race(members, config, synthetic_batch(config, CPU), race)


def test_steps_are_taken_in_turn_after_those_that_do_not_count():
    log = []
    first, second = _race(_contender("a", log), _contender("b", log), steps=3, warmup=1)
    assert log == ["a", "b", *("a", "b") * 3]
    assert len(first.seconds) == len(second.seconds) == 3


def test_who_does_not_fit_beside_the_others_gets_a_chance_alone():
    log = []
    crowded = _contender("a", log, fails=lambda: log.count("a") == 1)
    first, second = _race(crowded, _contender("b", log), steps=1, warmup=1)
    assert log == ["a", "b", "b", "a", "a"]
    assert first.fits
    assert len(first.seconds) == len(second.seconds) == 1


@pytest.mark.parametrize("warmup", [0, 1])
def test_who_does_not_fit_at_all_leaves_the_others_alone(warmup):
    log = []
    never = _contender("a", log, fails=lambda: True)
    first, second = _race(never, _contender("b", log), warmup=warmup)
    assert not first.fits
    assert second.fits
    assert len(second.seconds) == 2


def test_quartiles_of_few_steps():
    assert quartiles([2.0]) == (2.0, 2.0, 2.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)


def test_each_row_is_compared_with_plain_of_its_batch():
    ours = replace(ROW, contender="ours", median_ms=20.0)
    other = replace(ours, batch=8)
    cells = [dict(zip(HEADINGS, row, strict=True)) for row in table([ROW, ours, other])]
    assert [row["x plain"] for row in cells] == ["1.00", "1.50", "-"]
    assert cells[0]["quartiles"] == "29.0-31.0"
    assert cells[0]["MFU"] == "-"


def test_a_row_without_figures_says_why_and_the_file_keeps_them_empty(tmp_path):
    nothing = dict.fromkeys(("median_ms", "q25_ms", "q75_ms", "samples_per_s"))
    row = replace(ROW, **nothing, note=OUT_OF_MEMORY)
    assert OUT_OF_MEMORY in table([row])[0]
    path = tmp_path / "new" / "steps.csv"
    append_csv(path, ROW)
    append_csv(path, row)
    with path.open(encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first["median_ms"] == "30"
    assert (second["median_ms"], second["mfu"], second["note"]) == ("", "", OUT_OF_MEMORY)


def test_a_file_with_other_columns_is_left_alone(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"other\.csv"):
        append_csv(path, ROW)
    assert path.read_text(encoding="utf-8") == "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("name", "around", "kind"),
    [
        ("aten::addmm", (), "matrix products"),
        ("nvjet_tst_128x256_64x4_2x1_v_bz_coopA_bias_TNT", (), "matrix products"),
        ("sm80_xmma_gemm_f16f16_f16f32_f32_nn_n", (), "matrix products"),
        ("void pytorch_flash::flash_fwd_kernel<...cutlass::half_t>", (), "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob", (), "attention"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", (), "attention"),
        ("void at::native::multi_tensor_apply_kernel<FusedAdamMathFunctor>", (), UPDATE),
        ("aten::mul_", ("teacher update",), UPDATE),
        ("aten::addcdiv_", ("Optimizer.step#Adam.step",), UPDATE),
        ("triton_poi_fused_gelu_0", (), "norms, elementwise"),
        ("void at::native::vectorized_elementwise_kernel<...>", (), "norms, elementwise"),
        ("aten::native_layer_norm_backward", (), "norms, elementwise"),
        ("triton_per_fused__to_copy_add_native_layer_norm_view_5", (), "norms, elementwise"),
        ("triton_poi_fused__to_copy_6", (), "copies"),
        ("Memcpy DtoD (Device -> Device)", (), "copies"),
        ("aten::copy_", (), "copies"),
        ("aten::gather", (), "copies"),
        ("aten::empty", (), "other"),
    ],
)
def test_operations_are_told_apart_by_their_names(name, around, kind):
    assert Spent(name, around, 1.0).kind == kind


def test_shares_are_of_all_time_and_idle_is_what_the_kernels_leave():
    spent = [Spent("aten::mm", (), 3000.0), Spent("aten::copy_", (), 1000.0)] * 2
    found = summarise(spent, num_steps=2, step_seconds=0.005)
    assert found.kinds == (("matrix products", 3.0, 0.75), ("copies", 1.0, 0.25))
    assert found.costliest[0] == ("aten::mm", 3.0, 0.75)
    assert found.idle == pytest.approx(0.2)


def test_every_case_of_both_ways_is_timed():
    words = ("data.image_size=32", "data.segment_steps=32", "data.clip_steps=48")
    request = Request("tiny", words, "cpu", (2,), plain=True, steps=2, warmup=0)
    results = list(time_steps(request))
    assert [(one.row.case, one.row.contender) for one in results] == [
        (case.label, name) for case in CASES.values() for name in ("plain", "ours")
    ]
    for result, case in zip(results[1::2], CASES, strict=True):
        row = result.row
        assert row.operations_per_sample == operations(configure("tiny", words, case, 2)).step
        assert row.precision == "float32"
        assert (row.mfu, row.peak_gib, row.note) == (None, None, "")
        assert row.median_ms is not None
        assert row.samples_per_s == pytest.approx(2e3 / row.median_ms)


def test_a_profile_knows_the_update_of_the_teacher():
    request = Request("tiny", (), "cpu", (2,), ("teacher",), steps=1, warmup=0, profiles=True)
    ((_, profile),) = time_steps(request)
    assert profile is not None
    assert profile.idle is None
    assert {"matrix products", "attention", UPDATE} < {name for name, _, _ in profile.kinds}
    assert sum(share for _, _, share in profile.kinds) == pytest.approx(1)


def test_every_kernel_of_a_gpu_counts_and_no_stretch_of_the_program():
    def event(name: str, device: str, micros: float, *, drawn: bool = False) -> SimpleNamespace:
        return SimpleNamespace(
            name=name,
            device_type=SimpleNamespace(name=device),
            is_user_annotation=drawn,
            time_range=SimpleNamespace(elapsed_us=lambda: micros),
        )

    events = [
        event("aten::mm", "CPU", 900.0),
        event("nvjet_tst_128x256", "CUDA", 30.0),
        event("triton_poi_fused_gelu_0", "CUDA", 20.0),  # no operation of torch started it
        event("Optimizer.step#AdamW.step", "CUDA", 70.0, drawn=True),
    ]
    assert [(one.name, one.micros) for one in on_gpu(events)] == [
        ("nvjet_tst_128x256", 30.0),
        ("triton_poi_fused_gelu_0", 20.0),
    ]


def test_what_cannot_be_compared_is_refused_before_anything_is_timed():
    with pytest.raises(UserError, match=r"model\.joint_layers"):
        next(time_steps(Request(assignments=("model.joint_layers=2",), plain=True)))


def test_the_command_prints_a_table_a_case_and_appends_rows(tmp_path):
    from tgdp.cli.bench import app

    path = tmp_path / "steps.csv"
    what = ["--batch", "2", "--case", "single", "--case", "dual", "--against", "plain"]
    how = ["--steps", "1", "--warmup", "0", "--device", "cpu", "--csv", str(path)]
    done = CliRunner().invoke(app, ["step", *what, *how])
    assert done.exit_code == 0, done.output
    assert "single pass: tiny" in done.output
    assert "dual pass: tiny" in done.output
    assert max(len(line) for line in done.output.splitlines()) <= 80
    assert len(path.read_text(encoding="utf-8").splitlines()) == 5


MEDIA_AND_TRACKING = (
    *("typer", "rich", "av", "soundfile", "PIL", "timm", "filelock"),
    *("mlflow", "submitit", "optuna", "pandas"),
)


def test_it_runs_where_only_torch_is():
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({MEDIA_AND_TRACKING}))\n"
        "from tgdp.bench.step import Request, time_steps\n"
        "request = Request(batches=(2,), plain=True, steps=1, warmup=0, cases=('teacher',))\n"
        "print(len(list(time_steps(request))))"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.stdout.strip() == "2", done.stderr
