"""The ways of retrieval that are timed do the same, and the table says what was timed."""

import threading

import numpy as np
import pytest
from typer.testing import CliRunner

from tgdp.bench import extra_memory
from tgdp.bench.evaluate import (
    Request,
    Row,
    ancestors_loop,
    fill,
    ours,
    released_product,
    time_retrieval,
)
from tgdp.bench.extra_memory import peak_extra_bytes
from tgdp.bench.timing import Timing
from tgdp.cli.bench import app
from tgdp.errors import UserError

MIB = 1 << 20


def test_all_ways_find_the_same_clips():
    audio, image = np.empty((2, 30, 2, 4), np.float32)
    fill(audio, image)
    np.testing.assert_allclose(np.linalg.norm(image, axis=-1), 1, rtol=1e-6)
    found = ours(audio, image, "diagonal_mean", "cpu")
    assert 0 < found["a2v"] < 1
    assert released_product(audio, image) == pytest.approx(found)
    assert ancestors_loop(audio, image, queries=30) == pytest.approx(found)


def test_rows_are_those_of_every_way_and_the_loop_is_scaled(tmp_path):
    rows = list(time_retrieval(Request(8, 10, 2, 4, queries=2, runs=2), tmp_path))
    names = [row.timing.name for row in rows]
    assert names == [
        "ours, diagonal_mean",
        "ours, diagonal_max",
        "ours, mean",
        "ours, max",
        "released product",
        "loop (2 queries, scaled)",
        "ours, float16 in files, one run",
    ]
    assert [row.clips for row in rows] == [8] * 6 + [10]
    # Only what does the same as the loop is held against it.
    assert [row.loop is not None for row in rows] == [True, False, False, False, True, True, False]
    assert rows[5].cells()[-1] == "1.0"


def test_cells_say_how_many_times_faster_than_the_loop():
    row = Row(1545, Timing("ours", (2.0, 1.0, 4.0)), 3 * MIB, loop=100.0)
    assert row.cells() == ("1,545", "ours", "2.000", "1.000 to 4.000", "3", "50.0")
    assert Row(2, Timing("ours", (1.0,)), None).cells()[-2:] == ("-", "-")


def test_extra_memory_is_what_was_held_while_the_work_was_done(monkeypatch, tmp_path):
    readings, looked = [10 * MIB], threading.Event()

    def anonymous():
        if readings:
            return readings.pop()
        looked.set()
        return 25 * MIB

    monkeypatch.setattr(extra_memory, "_anonymous", anonymous)
    assert peak_extra_bytes(looked.wait) == 15 * MIB
    monkeypatch.undo()
    monkeypatch.setattr(extra_memory, "STATUS", tmp_path / "absent")
    assert peak_extra_bytes(lambda: None) is None


def test_the_command_prints_the_table():
    words = ["eval", "--clips=4", "--large=0", "--frames=2", "--width=3", "--runs=1", "--markdown"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "| 4 | ours, diagonal_max |" in result.output


def test_more_queries_than_clips_are_refused(tmp_path):
    with pytest.raises(UserError, match="choose 1 to 3"):
        list(time_retrieval(Request(clips=3, queries=4), tmp_path))
