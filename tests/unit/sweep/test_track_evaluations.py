"""What was measured after the end of a run comes into the store with it."""

from typing import Any

from tests.fake_runs import cells, set_state, write_run
from tgdp.evaluation.record import keep
from tgdp.sweep import track
from tgdp.training.run_directory import RunDirectory

PROTOCOL = "probe-linear/v1"


def probe(value: float, version: str = "v1", modality: str = "av") -> dict[str, Any]:
    protocol = f"probe-linear/{version}"
    return {
        "protocol": protocol,
        "dataset": "embedded",
        "split": "probe_test",
        "which": "last",
        "modality": modality,
        "n": 300,
        "metrics": {f"{protocol}/embedded/{modality}/map": value},
    }


def test_evaluations_bring_metrics_tags_and_files(results) -> None:
    run = write_run(results, cells()[2])
    track.sync(results)
    before = track.read(results).runs[run.name]
    keep(run, probe(0.25))
    keep(run, probe(0.125, modality="a"))
    report = track.sync(results)
    assert (report.updated, report.points, report.skipped) == (1, 2, ())
    tracked = track.read(results).runs[run.name]
    assert tracked.run_id == before.run_id
    new = {name: v for name, v in tracked.metrics.items() if name not in before.metrics}
    assert new == {
        "probe-linear/v1/embedded/av/map": 0.25,
        "probe-linear/v1/embedded/a/map": 0.125,
    }
    assert tracked.tags["tgdp.protocol.probe-linear"] == PROTOCOL
    assert tracked.tags["tgdp.protocol"] == "retrieval/v1"
    kept = {file.name for file in (results / "artifacts").glob("*/artifacts/evaluations/*")}
    assert kept == {file.name for file in run.evaluations.iterdir()}
    assert track.sync(results).unchanged == 1
    assert track.read(results).runs[run.name] == tracked


def test_versions_of_a_protocol_never_share_a_metric(results) -> None:
    run = write_run(results, cells()[2])
    keep(run, probe(0.25))
    keep(run, probe(0.5, "v2"))
    track.sync(results)
    tracked = track.read(results).runs[run.name]
    assert tracked.metrics["probe-linear/v1/embedded/av/map"] == 0.25
    assert tracked.metrics["probe-linear/v2/embedded/av/map"] == 0.5
    assert tracked.tags["tgdp.protocol.probe-linear"] == "probe-linear/v2"


def test_what_was_measured_anew_or_thrown_away_is_not_kept_in_the_store(results) -> None:
    run = write_run(results, cells()[2])
    keep(run, probe(0.25))
    keep(run, probe(0.125, modality="a"))
    track.sync(results)
    file = keep(run, probe(0.75))
    assert track.sync(results).replaced == 1
    assert metrics_of(results, run)["probe-linear/v1/embedded/av/map"] == 0.75
    file.unlink()
    assert track.sync(results).replaced == 1
    assert "probe-linear/v1/embedded/av/map" not in metrics_of(results, run)
    assert metrics_of(results, run)["probe-linear/v1/embedded/a/map"] == 0.125


def test_a_damaged_file_is_named_and_keeps_no_other_run_out(results) -> None:
    broken, whole = (write_run(results, cell) for cell in cells()[1:3])
    broken.evaluations.mkdir()
    (broken.evaluations / "mine.json").write_text("{")
    report = track.sync(results)
    assert report.created == 1
    assert "mine.json" in report.skipped[0]
    assert track.read(results).runs.keys() == {whole.name}


def test_a_run_that_waits_for_its_evaluation_is_no_finished_one(results) -> None:
    cell = cells()[2]
    run = write_run(results, cell, "trained", steps=50)
    track.sync(results)
    tracked = track.read(results).runs[run.name]
    assert (tracked.status, tracked.tags["tgdp.state"]) == ("KILLED", "trained")
    set_state(run, "done", 50)
    track.sync(results)
    assert track.read(results).runs[run.name].status == "FINISHED"


def metrics_of(results, run: RunDirectory) -> dict[str, float]:
    return dict(track.read(results).runs[run.name].metrics)
