"""A line a cell, read from the store."""

import pytest

from tgdp.report.collect import reason


def test_a_line_a_cell_with_who_and_what(frame):
    assert len(frame) == 10
    line = frame[(frame["variant"] == "0.50") & (frame["seed"] == 1)].iloc[0]
    assert line["state"] == "done"
    assert line["retrieval/embedded/a2v/r1"] == pytest.approx(0.25)
    assert (line["clips"], line["protocol"], line["fingerprint"]) == (300, "retrieval/v1", "3fa9c2")
    assert len(line["run_id"]) == 32


def test_a_run_that_is_not_done_has_no_numbers(frame):
    unfinished = frame[frame["state"] != "done"]
    assert len(unfinished) == 5
    assert unfinished.filter(like="retrieval/").isna().all().all()
    assert unfinished.filter(like="train/").isna().all().all()


def test_reasons_are_in_words():
    assert reason({"tgdp.state": "running", "tgdp.step": "5", "tgdp.total_steps": "9"}) == (
        "running, step 5/9"
    )
    assert reason({"tgdp.state": "failed", "tgdp.error": "no\n disk"}) == "failed: no disk"
    assert len(reason({"tgdp.state": "failed", "tgdp.error": "x" * 500})) < 80
    assert reason({}) == "not run"
