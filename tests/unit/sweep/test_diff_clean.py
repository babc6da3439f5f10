"""In what two runs differ, and what nothing needs any more."""

import json
import os
import time
from pathlib import Path

import pytest

from tests.fake_runs import write_run
from tests.fake_scheduler import open_scheduler, queued
from tests.lives import WORDS, call, data, noted, run_of, submitted
from tgdp.errors import UserError
from tgdp.sweep import records
from tgdp.sweep.orphans import delete, find

LONG_AGO = time.time() - 100_000


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def age(path: Path) -> Path:
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def test_two_runs_differ_in_keys_and_results(tmp_path) -> None:
    first, second, *_ = noted(tmp_path)
    for cell in (first, second):
        write_run(tmp_path, cell)
    found = data(tmp_path, "diff", "0.00@0", "0.20@0")
    assert found["config"] == {"contrastive.mask.ratio": [0.0, 0.2]}
    assert found["results"]["retrieval/embedded/a2v/r1"] == [0.18, 0.2]
    assert "+0.02" in call(tmp_path, "diff", "0.00@0", "0.20@0").output
    assert "Equal" in call(tmp_path, "diff", "0.00@0", first.signature).output


def test_a_run_that_never_began_has_nothing_to_differ_in(tmp_path) -> None:
    noted(tmp_path)
    done = call(tmp_path, "diff", "0.00@0", "0.20@0")
    assert isinstance(done.exception, UserError)
    assert "never started" in str(done.exception)


def test_notes_are_written_once_and_survive_a_torn_line(tmp_path) -> None:
    noted(tmp_path)
    noted(tmp_path)
    path = tmp_path / "sweeps" / "masking.jsonl"
    assert len(path.read_text().splitlines()) == 5
    path.write_text(path.read_text()[:-20])
    noted(tmp_path)
    found = records.read(tmp_path, "masking")
    assert [record.name for record in found][-1] == "masking/0.75@0"
    assert len(found) == 5
    assert {record.words for record in found} == {WORDS}


def test_clean_lists_and_deletes_nothing_by_itself(tmp_path, fake) -> None:
    finished, unfinished, *_ = noted(tmp_path)
    write_run(tmp_path, unfinished, "interrupted")
    run = write_run(tmp_path, finished)
    for name, cell in (("aaaaaaaaaaaa", unfinished), ("bbbbbbbbbbbb", finished)):
        run_of(tmp_path, cell).path.rename(tmp_path / "runs" / name)
        age(tmp_path / "runs" / name)
    torn = tmp_path / "runs" / "bbbbbbbbbbbb" / "checkpoints" / "step-7.pt.tmp"
    torn.write_bytes(b"torn")
    (tmp_path / "runs" / "bbbbbbbbbbbb" / "status.json.1.tmp").write_text("young")
    age(torn)
    found = data(tmp_path, "clean")
    kinds = {Path(one["path"]).name: one["kind"] for one in found["orphans"]}
    assert kinds == {"aaaaaaaaaaaa": "run of no sweep", "step-7.pt.tmp": "half written"}
    assert found["deleted"] == []
    assert call(tmp_path, "clean", "--delete", answer="n\n").exit_code == 1
    assert torn.exists()
    assert "2 deleted" in call(tmp_path, "clean", "--delete", answer="y\n").output
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["bbbbbbbbbbbb"]
    assert not torn.exists()
    assert run.path.name != "bbbbbbbbbbbb"


def test_what_was_finished_since_it_was_listed_stays(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    write_run(tmp_path, cell, "interrupted").path.rename(tmp_path / "runs" / "aaaaaaaaaaaa")
    age(tmp_path / "runs" / "aaaaaaaaaaaa")
    listed = find(tmp_path)
    assert [one.kind for one in listed] == ["run of no sweep"]
    (tmp_path / "runs" / "aaaaaaaaaaaa" / "result.json").write_text("{}")
    assert delete(listed) == ()
    assert (tmp_path / "runs" / "aaaaaaaaaaaa").exists()


def test_a_snapshot_is_old_once_no_job_needs_it(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    needed, old, young = (tmp_path / ".snapshots" / name for name in ("needed", "old", "young"))
    for folder in (needed, old, young):
        folder.mkdir(parents=True)
    age(needed), age(old)
    submitted(tmp_path, cell, "7")
    submission = tmp_path / ".submissions" / "one"
    submission.mkdir(parents=True)
    (submission / "submission.json").write_text(json.dumps({"snapshot": str(needed)}))
    fake.queue(queued("7", "PENDING"))
    assert [one.path for one in find(tmp_path)] == [old]
    fake.queue(queued("7", "CANCELLED"))
    write_run(tmp_path, cell)
    assert [one.path for one in find(tmp_path)] == [needed, old]


def test_sync_brings_runs_into_the_store_and_changes_nothing_the_second_time(results) -> None:
    (cell, *_) = noted(results)
    write_run(results, cell)
    assert data(results, "sync")["created"] == 1
    again = data(results, "sync")
    assert (again["created"], again["unchanged"], again["points"]) == (0, 1, 0)
