"""Importing as often as one likes leaves what the run directories hold, nothing more."""

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.fake_runs import (
    append_steps,
    cells,
    masking,
    set_state,
    write_all,
    write_result,
    write_run,
)
from tgdp.config import flatten
from tgdp.errors import UserError
from tgdp.sweep import track, track_run
from tgdp.sweep.track_run import short_name
from tgdp.sweep.track_store import opened
from tgdp.sweep.track_summary import base_hash
from tgdp.training.run_directory import RunDirectory

pytestmark = pytest.mark.usefixtures("own_store")

Points = dict[tuple[str, str, int], list[tuple[float, int]]]


def stored(results: Path) -> Points:
    """Read every point back: (signature, metric, step) -> values with time stamps."""
    points: Points = {}
    with opened(results) as store:
        for run in store.runs("cell"):
            for key in run.metrics:
                for metric in store.client.get_metric_history(run.run_id, key):
                    name = (run.tags["tgdp.signature"], key, metric.step)
                    points.setdefault(name, []).append((metric.value, metric.timestamp))
    return points


def expected(run: RunDirectory) -> dict[tuple[str, str, int], float]:
    points = {
        (run.name, key, event["step"]): value
        for event in run.events()
        for key, value in event["values"].items()
    }
    last = max((step for _, _, step in points), default=0)
    for key, value in (run.result() or {}).get("metrics", {}).items():
        points[run.name, key, last] = value
        points[run.name, short_name(key) or key, last] = value
    return points


def test_a_second_import_changes_nothing(results):
    made = write_all(results, steps=30)
    first = track.sync_sweep(results, masking(), made, "tiny")
    before, tracked = stored(results), track.read(results)
    assert first.created == 10
    assert first.points == len(before)
    assert all(len(values) == 1 for values in before.values())
    second = track.sync_sweep(results, masking(), made, "tiny")
    third = track.sync(results)
    assert (second.created, second.updated, second.unchanged, second.points) == (0, 0, 10, 0)
    assert (third.unchanged, third.points) == (10, 0)
    assert stored(results) == before
    assert track.read(results).runs == tracked.runs
    assert len(track.read(results).summaries) == 1


def test_what_is_stored_is_what_the_folder_holds(results):
    cell = cells()[2]
    run = write_run(results, cell, steps=50)
    track.sync(results)
    tracked = track.read(results).runs[cell.signature]
    assert {key: values[0][0] for key, values in stored(results).items()} == expected(run)
    assert stored(results)[cell.signature, "train/loss/total", 20][0][1] == 1_760_000_020_000
    assert tracked.status == "FINISHED"
    assert tracked.params == {key: str(value) for key, value in flatten(cell.config).items()}
    assert tracked.tags["tgdp.commit"] == "abc1234"
    assert (tracked.tags["tgdp.device"], tracked.tags["tgdp.torch"]) == ("Z80", "2.13.0")
    assert tracked.tags["tgdp.clips"] == "300"
    kept = {file.name for file in (results / "artifacts").rglob("*.*")}
    assert kept == {"config.yaml", "result.json"}


def test_a_run_that_goes_on_only_gains_points(results):
    cell = cells()[0]
    run = write_run(results, cell, "running", steps=30)
    track.sync(results)
    first = track.read(results).runs[cell.signature]
    assert first.status == "RUNNING"
    append_steps(run, cell, 40, 50)
    write_result(run, cell)
    set_state(run, "done", 50)
    report = track.sync(results)
    second = track.read(results).runs[cell.signature]
    assert (report.updated, report.created) == (1, 0)
    assert (second.run_id, second.status) == (first.run_id, "FINISHED")
    assert {key: values[0][0] for key, values in stored(results).items()} == expected(run)


def test_an_import_killed_midway_is_completed_by_the_next(results, monkeypatch):
    made = write_all(results, steps=30)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(track_run, "_write_status", die)
        with pytest.raises(KeyboardInterrupt):
            track.sync(results)
    report = track.sync(results)
    assert (report.created, report.updated) == (9, 1)
    points = stored(results)
    assert len(points) == sum(
        len(expected(RunDirectory(results / "runs" / c.signature))) for c in made
    )
    assert all(len(values) == 1 for values in points.values())


def test_steps_taken_again_with_the_same_numbers_are_stored_once(results):
    cell = cells()[0]
    run = write_run(results, cell, "running", steps=50)
    track.sync(results)
    run.forget_after(30)
    assert track.sync(results).replaced == 0
    append_steps(run, cell, 40, 70, attempt=2)
    report = track.sync(results)
    points = stored(results)
    assert (report.updated, report.replaced) == (1, 0)
    assert all(len(values) == 1 for values in points.values())
    losses = {key[2] for key in points if key[1] == "train/loss/total"}
    assert losses == {10, 20, 30, 40, 50, 60, 70}


def test_steps_taken_again_with_other_numbers_replace_the_run(results):
    cell = cells()[0]
    run = write_run(results, cell, "running", steps=50)
    track.sync_sweep(results, masking(), cells(), "tiny")
    run.forget_after(30)
    append_steps(run, cell, 40, 60, attempt=2, shift=0.25)
    assert track.sync(results).replaced == 1
    assert {key: values[0][0] for key, values in stored(results).items()} == expected(run)
    tracked = track.read(results)
    assert len(tracked.runs) == 1
    assert tracked.runs[cell.signature].tags["tgdp.sweep.masking"] == "0.00"
    assert track.sync(results).unchanged == 1


def test_infinities_are_left_out_and_nan_does_not_replace_the_run(results):
    cell = cells()[0]
    run = write_run(results, cell, "running", steps=10)
    values = {"train/loss/total": float("inf"), "train/grad_norm": float("nan")}
    run.append({"kind": "metric", "step": 20, "values": values})
    track.sync(results)
    set_state(run, "failed", 20, "loss is nan")
    report = track.sync(results)
    points = stored(results)
    assert (report.updated, report.replaced, report.points) == (1, 0, 0)
    assert (cell.signature, "train/loss/total", 20) not in points
    assert (cell.signature, "train/grad_norm", 20) in points


def test_a_folder_that_cannot_be_read_does_not_stop_the_others(results):
    good, bad = cells()[:2]
    write_run(results, good, steps=10)
    write_run(results, bad, steps=10).config_file.write_text("model: {weidth: 3}")
    report = track.sync(results)
    assert report.created == 1
    assert len(report.skipped) == 1
    assert "weidth" in report.skipped[0]


def test_the_environment_names_another_store(results, tmp_path_factory, monkeypatch, empty_store):
    write_run(results, cells()[0], steps=10)
    other = tmp_path_factory.mktemp("other") / "elsewhere.db"
    shutil.copy(empty_store, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    assert track.sync(results).uri.endswith("elsewhere.db")
    assert len(track.read(results).runs) == 1
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert not track.read(results).runs


def test_a_dead_server_is_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI"):
        track.sync(tmp_path)
    assert time.monotonic() - started < 5


def test_a_store_that_mlflow_refuses_is_a_user_error(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{tmp_path}/mlruns")
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI"):
        track.sync(tmp_path)


def test_seeds_asked_for_earlier_stay_wanted(results):
    track.sync_sweep(results, masking(), cells(seeds=(0, 1)), "tiny")
    track.sync_sweep(results, masking(), cells(seeds=(2,)), "tiny")
    (summary,) = track.read(results).summaries
    assert all(list(seeds) == [0, 1, 2] for seeds in summary.rows.values())
    assert list(summary.rows) == [variant.label for variant in masking().variants]


def test_the_base_is_named_by_what_all_rows_share():
    assert base_hash(masking(), cells(seeds=(0,))) == base_hash(masking(), cells(seeds=(3, 4)))
    assert base_hash(masking(), cells("aaaa")) != base_hash(masking(), cells("bbbb"))


def test_a_torn_event_is_not_an_error(results):
    cell = cells()[0]
    run = write_run(results, cell, "running", steps=20)
    with run.events_file.open("a") as file:
        file.write(json.dumps({"kind": "metric", "step": 30})[:20])
    report = track.sync(results)
    assert (report.created, report.skipped) == (1, ())
