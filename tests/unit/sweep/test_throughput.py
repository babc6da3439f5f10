"""Times of steps: as measured, on a line through what was measured, or not known."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.measured_steps import CARD, PACE, ROWS, WORK, row, write
from tgdp import presets
from tgdp.bench.step_cases import CASES, configure
from tgdp.config import override
from tgdp.errors import UserError
from tgdp.model.operations import operations
from tgdp.sweep import throughput
from tgdp.sweep.throughput import Pace, find_pace

COMMITTED = Path(__file__).parents[3] / "results" / throughput.FILE


@pytest.mark.parametrize(
    ("batch", "milliseconds", "origin"),
    [
        (64, 104, "measured"),
        (512, 552, "measured"),
        (100, 140, "interpolated"),
        (16, 56, "extrapolated"),
        (1024, 1064, "extrapolated"),
    ],
)
def test_a_batch_is_measured_or_lies_on_the_line(
    batch: int, milliseconds: float, origin: str
) -> None:
    time = PACE.time(batch, WORK)
    assert time is not None
    assert (1e3 * time.seconds, time.origin) == (pytest.approx(milliseconds), origin)


@pytest.mark.parametrize("batch", [64, 100])
def test_time_is_in_proportion_to_the_operations(batch: int) -> None:
    whole, half = PACE.time(batch, WORK), PACE.time(batch, WORK // 2)
    assert whole is not None
    assert half is not None
    assert half.seconds == pytest.approx(whole.seconds / 2)


def test_the_line_is_that_of_least_squares() -> None:
    # Middle at 2 pairs and 3 ms; (-1 x -2 + 1 x 1) / 2 = 1.5 ms a pair; 3 - 1.5 x 2 = 0 ms.
    line = Pace((row(1, 1.0), row(2, 4.0), row(3, 4.0))).line()
    assert line is not None
    assert [1e3 * WORK * value for value in line] == pytest.approx([0, 1.5])


def test_no_line_begins_below_nothing() -> None:
    # Through both points it would begin at -150 ms; the best through 0 has
    # (100 x 50 + 200 x 250) / (100 x 100 + 200 x 200) ms a pair.
    line = Pace((row(100, 50.0), row(200, 250.0))).line()
    assert line is not None
    assert line.fixed == 0
    assert 1e3 * line.each * WORK == pytest.approx(1.1)


def test_one_measured_batch_says_nothing_of_others() -> None:
    alone = Pace(ROWS[:1])
    assert alone.time(64, WORK) is not None
    assert alone.time(65, WORK) is None


def test_a_batch_that_did_not_fit_is_not_made_up() -> None:
    full = row(512, None, note="out of memory")
    pace = find_pace((*ROWS[:2], full), presets.paper())
    assert pace == Pace(ROWS[:2], full=512)
    assert pace.time(511, WORK) is not None
    assert pace.time(512, WORK) is None


def test_what_was_measured_last_counts() -> None:
    other = row(64, 9.0, device="NVIDIA A100-SXM4-80GB")
    rows = throughput.on_newest_card((other, row(64, 7.0), row(128, 8.0), row(64, 6.0)), "paper")
    assert {one.device for one in rows} == {CARD}
    assert find_pace(rows, presets.paper()) == Pace((row(64, 6.0), row(128, 8.0)))


@pytest.mark.parametrize(
    ("changes", "milliseconds"),
    [
        ({}, 7),
        ({"runtime.compile": True}, 5),
        ({"training.precision": "float32"}, 11),
        ({"training.precision": "float16"}, None),
        ({"runtime.activation_checkpointing": True}, None),
        ({"runtime.cuda_graphs": True}, None),
    ],
)
def test_a_run_is_timed_by_steps_like_its_own(
    changes: dict[str, Any], milliseconds: float | None
) -> None:
    rows = (
        row(64, 9.0, contender="plain"),
        row(64, 7.0),
        row(64, 5.0, contender="ours compiled"),
        row(64, 11.0, precision="float32"),
    )
    pace = find_pace(rows, override(presets.paper(), changes))
    assert (pace and pace.rows[0].median_ms) == milliseconds


@pytest.mark.parametrize("case", CASES)
def test_each_timed_case_is_known_by_its_configuration(case: str) -> None:
    assert throughput.case_of(configure("paper", (), case)) == CASES[case].label


def test_a_single_pass_with_a_teacher_was_never_timed() -> None:
    single = {**presets.SINGLE_PASS, "contrastive.mask.selection": "random"}
    assert find_pace(ROWS, override(presets.paper(), single)) is None


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    rows = (*ROWS, row(1024, None, note="out of memory"))
    assert throughput.read(write(tmp_path, *rows)) == rows


def test_measurements_of_ones_own_come_before_those_of_the_package(tmp_path: Path) -> None:
    assert throughput.load(tmp_path) == throughput.read(COMMITTED)
    write(tmp_path, *ROWS)
    assert throughput.load(tmp_path) == ROWS


@pytest.mark.parametrize(
    ("good", "bad", "reason"),
    [
        ("date,", "day,", "line 2: its columns are not date,device"),
        ("2026-11-26,NVIDIA", "NVIDIA", "line 2: its columns"),
        (",104,", ",fast,", "line 2: .*'fast'"),
        (",104,", ",-1,", "line 2: median_ms is -1, which is not above 0"),
        (",104,", ",nan,", "line 2: median_ms is nan"),
        (",64,", ",0,", "line 2: batch is 0"),
    ],
)
def test_a_file_that_is_something_else_is_a_user_error(
    tmp_path: Path, good: str, bad: str, reason: str
) -> None:
    path = write(tmp_path, ROWS[0])
    path.write_text(path.read_text().replace(good, bad))
    with pytest.raises(UserError, match=reason):
        throughput.load(tmp_path)


def test_a_file_that_is_no_text_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / throughput.FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        throughput.load(tmp_path)


def test_the_committed_measurements_are_of_this_method() -> None:
    rows = throughput.on_newest_card(throughput.read(COMMITTED), "paper")
    assert find_pace(rows, presets.paper()) is not None
    names = {case.label: name for name, case in CASES.items()}
    for one in rows:
        config = configure("paper", (), names[one.case])
        assert replace(one, operations_per_sample=operations(config).step) == one
