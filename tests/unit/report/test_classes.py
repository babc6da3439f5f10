"""Figures class by class: the best and the worst named, all of them in the table."""

import csv
import io
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.drawn_text import text_boxes
from tests.fake_runs import cells, write_run
from tgdp.cli.report import app
from tgdp.errors import UserError
from tgdp.evaluation.record import keep
from tgdp.report import classes, figures
from tgdp.training.run_directory import RunDirectory


def evaluation(count: int, protocol: str = "retrieval/v1", **more: Any) -> dict[str, Any]:
    """An evaluation whose class number i is found in a share i of the cases."""
    rows = []
    for i in range(count):
        share, row = i / max(1, count - 1), {"mid": f"/m/{i}", "name": f"Class {i}", "n": 5}
        both = {"a2v/r1": share, "v2a/r1": share / 2, "a2v/r5": 1.0}
        rows.append({**row, **(both if protocol.startswith("retrieval") else {"ap": share})})
    told = {"dataset": "embedded", "split": "test", "which": "last", "weights": "step 50"}
    prefix = f"{protocol}/embedded/"
    return {
        **{"protocol": protocol, **told, "n": 5 * count, "per_class": rows, **more},
        "metrics": {f"{prefix}x": 0.5},
    }


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return write_run(tmp_path, cells()[0], steps=20)


def drawn(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]) -> list[str]:
    """Every word in the picture, after checking that none is written over another."""
    held = []
    monkeypatch.setattr("analysis.classes.png", lambda figure: held.append(figure) or b"")
    figures.drawing("classes").draw(classes.by_class("abc", result))
    boxes = text_boxes(held[0])
    for number, (words, box) in enumerate(boxes):
        assert held[0].bbox.x0 <= box.x0, words
        assert box.x1 <= held[0].bbox.x1, words
        for other, second in boxes[number + 1 :]:
            assert not box.overlaps(second), (words, other)
    return [words for words, _ in boxes]


@pytest.mark.parametrize("protocol", ["retrieval/v1", "probe-attention/v1"])
def test_of_many_classes_the_best_and_the_worst_are_named(monkeypatch, protocol):
    result = evaluation(527, protocol)
    result["per_class"][526]["name"] = "A sound that has quite a long name, longer than the panel"
    words = drawn(monkeypatch, result)
    named = [word.partition(" (")[0] for word in words if word.endswith("(5)")]
    assert named[0] == "A sound that has quite a long name,…"
    assert named[1:] == [f"Class {i}" for i in (*range(525, 506, -1), *range(19, -1, -1))]
    assert any("mean over classes 50.0 %" in word for word in words)
    assert any("chance" in word for word in words) == protocol.startswith("retrieval")


def test_of_few_classes_all_are_named(monkeypatch):
    words = drawn(monkeypatch, evaluation(16))
    assert sum(word.endswith("(5)") for word in words) == 16
    assert "All 16 classes" in words


def test_it_is_said_how_many_classes_equal_the_last_that_is_named(monkeypatch):
    result = evaluation(100, "probe-linear/v1")
    for row in result["per_class"][:50]:
        row["ap"] = 0.0
    result["per_class"][3]["n"] = 9
    words = drawn(monkeypatch, result)
    assert "The 20 worst (30 more equal the first of them)" in words
    assert "The 20 best" in words
    # Of equal ones, those with many clips stand first.
    frame = classes.by_class("abc", result).frame
    assert frame["name"].iloc[50] == "Class 3"


def test_the_files_lie_beside_the_pictures_of_the_run_and_in_the_store(run, tmp_path):
    keep(run, evaluation(16))
    keep(run, evaluation(16, "probe-linear/v1", modality="av"))
    keep(run, evaluation(16, "probe-linear/v1", modality="a", per_class=[]))
    done = CliRunner().invoke(app, ["classes", run.name[:6], "--results", str(tmp_path)])
    assert done.exit_code == 0, (done.output, done.exception)
    stems = [
        "classes-probe-linear-v1-embedded-test-last-av",
        "classes-retrieval-v1-embedded-test-last",
    ]
    files = [run.path / "pictures" / f"{stem}.{end}" for stem in stems for end in ("csv", "png")]
    assert sorted((run.path / "pictures").iterdir()) == sorted(files)
    assert all(f"  {file}\n" in done.output for file in files)
    rows = list(csv.DictReader(io.StringIO(files[2].read_text())))
    assert list(rows[0]) == ["mid", "name", "n", "a2v/r1", "v2a/r1", "a2v/r5"]
    assert [row["name"] for row in rows] == [f"Class {i}" for i in range(15, -1, -1)]
    with Image.open(files[1]) as picture:
        picture.verify()
    stored = {path.name for path in (tmp_path / "artifacts").rglob("pictures/*.png")}
    assert stored == {f"{stem}.png" for stem in stems}


def test_one_protocol_may_be_asked_for(run):
    keep(run, evaluation(16))
    keep(run, evaluation(16, "probe-linear/v1", modality="av"))
    for asked in ("probe-linear", "probe-linear/v1"):
        assert [f.suffix for f in classes.write(run, asked)] == [".csv", ".png"]
    with pytest.raises(UserError, match=r"'probe-linera'.*probe-linear/v1"):
        classes.write(run, "probe-linera")


def test_what_cannot_be_shown_names_the_command_that_mends_it(run):
    with pytest.raises(UserError, match=f"no evaluations yet.*retrieval {run.path} --record"):
        classes.write(run)
    keep(run, evaluation(0))
    with pytest.raises(UserError, match=r"knows its classes.*--record"):
        classes.write(run)
    keep(run, evaluation(2, per_class=[{"mid": "/m/1", "name": "A", "n": 1, "r1": 0.5}]))
    with pytest.raises(UserError, match="a2v/r1 and v2a/r1, top1, ap; evaluate again"):
        classes.write(run)
    assert not (run.path / "pictures").exists()
