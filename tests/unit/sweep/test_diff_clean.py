"""In what two runs differ, and what nothing needs any more."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from tests.fake_runs import write_run
from tests.fake_scheduler import open_scheduler, queued
from tests.lives import WORDS, call, data, noted, run_of, submitted
from tgdp.errors import UserError
from tgdp.sweep import orphans, records
from tgdp.sweep.orphans import delete, find
from tgdp.training.run_directory import RunDirectory

BUSY = "slurm_load_jobs error: Unable to contact slurm controller"

LONG_AGO = time.time() - 100_000


@pytest.fixture
def fake(tmp_path, monkeypatch):
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


@pytest.fixture
def nobodys(tmp_path, fake) -> Path:
    """A run of no sweep, with a job that no command knows unless a test says so."""
    (cell, *_) = noted(tmp_path)
    run = submitted(tmp_path, cell, "7", "interrupted")
    (tmp_path / "sweeps" / "masking.jsonl").unlink()
    return age(run.path)


@pytest.fixture
def needed(tmp_path, fake) -> Path:
    """An old snapshot, which a job of number 7 needs."""
    noted(tmp_path)
    folder = tmp_path / ".snapshots" / "needed"
    folder.mkdir(parents=True)
    submission = tmp_path / ".submissions" / "one"
    submission.mkdir(parents=True)
    (submission / "submission.json").write_text(json.dumps({"snapshot": str(folder)}))
    return age(folder)


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


def test_a_run_whose_job_may_wait_is_neither_listed_nor_deleted(nobodys, tmp_path, fake) -> None:
    listed = find(tmp_path)
    assert [one.path for one in listed] == [nobodys]
    fake.fail("squeue", BUSY)
    assert find(tmp_path) == ()
    assert delete(listed) == ()
    assert data(tmp_path, "clean", "--delete", "--yes") == {"orphans": [], "deleted": []}
    assert nobodys.exists()


def test_a_run_whose_process_was_killed_is_deleted(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "running")
    (tmp_path / "sweeps" / "masking.jsonl").unlink()
    listed = find(age(run.path).parents[1])
    assert [one.path for one in delete(listed)] == [run.path]
    assert not run.path.exists()


def test_a_run_whose_row_has_another_one_now_is_deleted(tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    run = write_run(tmp_path, cell, "interrupted")
    path = tmp_path / "sweeps" / "masking.jsonl"
    lines = path.read_text()
    path.write_text(lines + lines.replace(cell.signature, "aaaaaaaaaaaa"))
    listed = find(age(run.path).parents[1])
    assert [one.path for one in listed] == [run.path]
    assert delete(listed) == tuple(listed)
    assert not run.path.exists()


def test_a_run_that_is_gone_on_with_while_its_lock_is_taken_stays(
    nobodys, tmp_path, fake, monkeypatch
) -> None:
    listed = find(tmp_path)
    run = RunDirectory(nobodys)

    class Lock(orphans.FileLock):
        def acquire(self, *words, **more):
            run.set_status(replace(run.status(), step=60))
            return super().acquire(*words, **more)

    monkeypatch.setattr(orphans, "FileLock", Lock)
    assert delete(listed) == ()
    assert nobodys.exists()


def test_a_run_that_a_sweep_asked_for_since_it_was_listed_stays(nobodys, tmp_path, fake) -> None:
    listed = find(tmp_path)
    noted(tmp_path)
    assert delete(listed) == ()
    assert nobodys.exists()


def test_what_is_written_anew_since_it_was_listed_stays(tmp_path, fake) -> None:
    torn = tmp_path / "runs" / "aaaaaaaaaaaa" / "checkpoints" / "step-7.pt.tmp"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"torn")
    listed = find(age(torn).parents[3])
    torn.write_bytes(b"half of a new one")
    assert [one.path for one in listed] == [torn]
    assert delete(listed) == ()
    assert torn.exists()


def test_a_snapshot_that_a_job_needs_since_it_was_listed_stays(needed, tmp_path, fake) -> None:
    listed = find(tmp_path)
    assert [one.path for one in listed] == [needed]
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7")
    fake.queue(queued("7", "PENDING"))
    assert delete(listed) == ()
    assert needed.exists()


def test_a_snapshot_that_a_submission_has_just_taken_stays(needed, tmp_path, fake) -> None:
    listed = find(tmp_path)
    os.utime(needed)
    assert delete(listed) == ()
    assert needed.exists()


def test_while_the_queue_is_silent_no_snapshot_is_deleted(needed, tmp_path, fake) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "8", "failed", folder=str(tmp_path / "elsewhere"))
    listed = find(tmp_path)
    assert [one.path for one in listed] == [needed]
    fake.fail("squeue", BUSY)
    assert delete(listed) == ()
    assert needed.exists()


def test_while_somebody_submits_no_snapshot_is_deleted(needed, tmp_path, fake, monkeypatch) -> None:
    monkeypatch.setattr(orphans, "PATIENCE_S", 0.1)
    with FileLock(tmp_path / ".submissions" / "lock"):
        said = call(tmp_path, "clean", "--delete", "--yes").output
    assert "0 deleted" in said
    assert f"Left, for somebody may need it by now: {needed}" in said
    assert needed.exists()
    assert "1 deleted" in call(tmp_path, "clean", "--delete", "--yes").output
    assert not needed.exists()


def test_the_snapshot_of_a_run_that_failed_may_be_needed_while_the_queue_is_silent(
    needed, tmp_path, fake
) -> None:
    (cell, *_) = noted(tmp_path)
    submitted(tmp_path, cell, "7", "failed")
    assert [one.path for one in find(tmp_path)] == [needed]
    fake.fail("squeue", BUSY)
    assert find(tmp_path) == ()


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
