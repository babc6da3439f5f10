"""Rows below a table: measured once, kept, set apart in every format."""

import dataclasses
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.fake_runs import masking, write_run
from tests.small_model import SMALL_MODEL
from tgdp.cli.report import app
from tgdp.config import override
from tgdp.data.card import read_card
from tgdp.errors import UserError
from tgdp.presets import tiny
from tgdp.report import console, latex, markdown, sanity
from tgdp.report.collect import collect
from tgdp.report.table import Entry, Row
from tgdp.sweep import track
from tgdp.sweep.declare import expand

CLIPS = 6


@pytest.fixture(scope="module")
def results(prepared, tmp_path_factory):
    """A finished sweep of a small model on twelve clips, six of them to test on."""
    data = prepared([1.6] * (2 * CLIPS))
    splits = {"data.train_split": "train", "evaluation.split": "test", "runtime.threads": 1}
    own = {"data.name": "test", "data.folder": str(data)}
    own |= {"data.fingerprint": read_card(data).fingerprint}
    base = override(tiny(), {**SMALL_MODEL, **splits, **own})
    made = expand(masking(), base, (0, 1))
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        for cell in made:
            run = write_run(folder, cell, steps=10)
            told = json.loads(run.result_file.read_text())
            run.result_file.write_text(json.dumps({**told, "n": CLIPS, "split": "test"}))
        track.sync_sweep(folder, masking(), made, "tiny on test")
        done = CliRunner().invoke(app, ["tables", "masking", "--sanity", "--results", str(folder)])
        assert done.exit_code == 0, (done.output, done.exception)
        yield folder


def test_each_row_is_measured_for_each_seed_and_kept(results):
    lines = pd.read_csv(results / "tables" / "masking.csv", dtype={"variant": str})
    below = lines[lines["kind"] == "sanity"]
    assert list(below["variant"].unique()) == ["chance", "mean embedding", "untrained"]
    first = below[below["metric"].str.endswith("a2v/r1")].set_index("variant")
    assert first["mean"]["chance"] == pytest.approx(100 / CLIPS)
    assert first["mean"]["mean embedding"] == 0
    assert first["n"].to_dict() == {"chance": 1, "mean embedding": 2, "untrained": 2}
    assert set(below["clips"].astype(int)) == {CLIPS}
    assert (lines[lines["kind"] == "row"]["variant"] == "0.50").sum() == 6
    kept = [json.loads(path.read_text()) for path in (results / "sanity").iterdir()]
    assert sorted((one["facts"]["row"], one["facts"]["seed"]) for one in kept) == [
        (label, seed) for label in ("mean embedding", "untrained") for seed in (0, 1)
    ]
    assert all(one["n"] == CLIPS for one in kept)


def test_without_the_option_they_are_not_there(results):
    done = CliRunner().invoke(app, ["tables", "masking", "--results", str(results)])
    assert done.exit_code == 0
    assert "untrained" not in (results / "tables" / "masking.md").read_text()


def test_they_are_set_apart_and_never_the_best(table):
    entries = tuple(Entry(metric, (99.0,), (), clips=(300,)) for metric in table.sweep.metrics)
    below = Row("oracle", entries, 0, 0, (300,), "", (), (), ())
    made = dataclasses.replace(table, sanity=(below,))
    text = markdown.render(made)
    assert "|  |  |  |  |  |  |  |\n| *oracle* | *99.0* | *99.0* | *99.0* | — | 300 |  |\n" in text
    assert "**24.5 ± 0.7**" in text
    assert "- Below the rows: oracle, the causes that sound and picture share." in text
    tex = latex.render(made)
    assert tex.count("\\midrule\noracle & 99.0 & 99.0 & 99.0 & --- & 300 ") == 2
    assert tex.count("\\midrule") == 4
    out = Console(width=80, record=True, file=io.StringIO())
    out.print(console.Fitted(made))
    assert "oracle        99.0        99.0" in out.export_text()


def test_chance_says_what_it_refers_to_where_clips_differ(table):
    row = dataclasses.replace(table.rows[0], clips=(298, 300))
    made = dataclasses.replace(table, rows=(row, *table.rows[1:]))
    text = markdown.render(made)
    assert "- Chance level among 298 clips, the fewest: R@1 0.34 %" in text


def test_a_benchmark_that_is_none_costs_the_oracle_alone(results, monkeypatch):
    made, tracked = built(results)
    real = sanity.base(made, tracked)
    named = override(real, {"data.name": "embedded"})
    monkeypatch.setattr(sanity, "base", lambda *_: named)
    said: list[str] = []
    rows = sanity.rows(results, made, tracked, warn=said.append)
    assert [row.label for row in rows] == ["chance", "mean embedding", "untrained"]
    assert said[0].startswith("no row 'oracle': ")
    assert "only its own clips have known causes" in said[0]


def built(results: Path):
    from tgdp.report import published
    from tgdp.report.build import build

    tracked = track.read(results)
    frame = collect(tracked, tracked.summaries[0])
    (made,) = build(masking(), tracked.summaries[0], frame, published.load(results))
    return made, tracked


def test_other_data_a_damaged_file_and_a_run_elsewhere_are_refused_by_name(results, tmp_path):
    made, tracked = built(results)
    other = dataclasses.replace(made, fingerprint="feedbeef")
    with pytest.raises(UserError, match=r"field 'fingerprint' is .* the table is of feedbeef"):
        sanity.rows(tmp_path, other, tracked)
    later = dataclasses.replace(made, protocol="retrieval/v2")
    with pytest.raises(UserError, match="the table is of retrieval/v2; this version: retrieval/v1"):
        sanity.rows(tmp_path, later, tracked)
    sanity.rows(results, made, tracked)
    (path, *_) = (results / "sanity").glob("untrained-*.json")
    whole = path.read_text()
    path.write_text(whole[:40])
    with pytest.raises(UserError, match=f"{path.name}: cannot be read .* delete it"):
        sanity.rows(results, made, tracked)
    path.write_text(whole)
    gone = {
        name: dataclasses.replace(run, tags={**run.tags, "tgdp.directory": "/no/such/abc"})
        for name, run in tracked.runs.items()
    }
    with pytest.raises(UserError, match="--sanity: the rows start from run abc"):
        sanity.rows(results, made, dataclasses.replace(tracked, runs=gone))
