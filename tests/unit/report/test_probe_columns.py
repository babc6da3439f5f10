"""Columns for probes: what shares one, what never does, and what was published for them."""

import dataclasses
import io

import pandas as pd
import pytest
from rich.console import Console

from tests.fake_runs import cells, masking, write_run
from tgdp.evaluation.record import keep
from tgdp.report import console, figures, latex, markdown, published, trace
from tgdp.report.build import build
from tgdp.report.measured import Measured, measured
from tgdp.report.produce import numbers
from tgdp.report.table import Table
from tgdp.report.views import view
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.track_store import TrackedRun

HERE = Measured("probe_test", "3fa9c2", 400)
LINEAR = "probe-linear/v1/embedded"
VALUES = {"0.00": 0.31, "0.50": 0.42, "0.75": 0.25}


@pytest.fixture
def probed(mixed, frame):
    """Return a function that builds the table of the mixed sweep with some probe metrics."""
    results, tracked = mixed

    def make(*names: str, facts=lambda row: HERE) -> Table:
        done = frame["state"] == "done"
        added = frame.copy()
        for name in names:
            added[name] = added["variant"].map(VALUES).where(done)
        held = [{name: facts(row) for name in names} for row in added.to_dict("records")]
        added["measured"] = pd.Series(held, index=added.index)
        (made,) = build(masking(), tracked.summaries[0], added, published.load(results))
        return made

    return make


def titles(table: Table) -> list[str]:
    return [metric.title for metric in table.sweep.metrics[6:]]


def test_each_probe_is_a_column_behind_those_of_the_sweep_audio_visual_first(probed):
    table = probed(
        f"{LINEAR}/v/map", f"{LINEAR}/a/map", f"{LINEAR}/av/map", f"{LINEAR}/av/map_present",
        "probe-attention/v1/embedded/av/top1", "probe-linear/v1/embedded/best/av/map",
    )  # fmt: skip
    assert titles(table) == [
        "probe-attention/v1 Top-1 audio-visual",
        "probe-linear/v1 mAP audio-visual",
        "probe-linear/v1 mAP audio",
        "probe-linear/v1 mAP visual",
        "probe-linear/v1 weights best mAP audio-visual",
    ]
    entry = table.rows[2].entries[7]
    assert (entry.numbers, entry.seeds, entry.clips) == ((42.0, 42.0), (0, 1), (400, 400))
    assert table.rows[1].entries[7].mean is None


def test_versions_never_share_a_column(probed):
    table = probed("probe-linear/v1/embedded/av/map", "probe-linear/v2/embedded/av/map")
    assert titles(table) == ["probe-linear/v1 mAP audio-visual", "probe-linear/v2 mAP audio-visual"]
    text = markdown.render(table)
    assert "**probe-linear/v1 mAP**" in text
    assert "**probe-linear/v2 mAP**" in text
    assert {n.split("/")[1] for n in numbers(table) if "probe" in n} == {
        "probe-linear_v1_embedded_av_map",
        "probe-linear_v2_embedded_av_map",
    }


@pytest.mark.parametrize(
    "other", [HERE._replace(split="test"), HERE._replace(fingerprint="ffff")], ids=["split", "data"]
)
def test_numbers_of_other_clips_never_share_a_column(probed, other):
    table = probed(
        f"{LINEAR}/av/map", facts=lambda row: other if row["variant"] == "0.50" else HERE
    )
    assert len(titles(table)) == 2
    assert other.split in titles(table)[0] + titles(table)[1]
    found = [[entry.mean for entry in row.entries[6:]] for row in table.rows]
    assert sorted(found[0], key=str) == sorted([31.0, None], key=str)
    assert found[0].index(31.0) != found[2].index(42.0)
    assert len({name for name in numbers(table) if name.endswith("/0.50")}) == 6 * 3 + 3 + 1


def test_published_values_stand_beside_the_papers_probe_on_the_papers_data_only(probed):
    table = probed(
        "probe-attention/v1/as20k/av/map",
        "probe-attention/v1/as20k/best/av/map",
        "probe-attention/v1/embedded/av/map",
        "probe-linear/v1/as20k/av/map",
    )
    theirs = {
        metric.title: entry.published and entry.published.value
        for metric, entry in zip(table.sweep.metrics, table.rows[2].entries, strict=True)
    }
    assert theirs.pop("A→V R@1") == 30.3
    assert theirs.pop("probe-attention/v1 on as20k mAP audio-visual") == 32.0
    assert set(theirs.values()) == {None}
    assert "- Published: AS20K, VGGSound with ViT-B" in markdown.render(table)


def test_whole_methods_have_their_probes_in_a_published_table_of_their_own(probed, tmp_path):
    metrics = probed("probe-attention/v1/as20k/a/map", "probe-attention/v1/VGG-Sound/av/top1")
    vggsound, audio = metrics.sweep.metrics[6:]
    sweep, shelf = load_sweep("baselines"), published.load(tmp_path)
    rows = {variant.label: variant for variant in sweep.variants}
    assert shelf.find(sweep, rows["TG-DP"], vggsound).value == 52.7
    assert shelf.find(sweep, rows["TG-DP"], audio).value == 31.2
    assert shelf.find(sweep, rows["CAV-MAE Sync"], audio).value == 29.3
    assert shelf.find(sweep, rows["CAV-MAE"], audio) is None


def test_what_was_counted_is_said_and_what_is_missing_too(probed):
    table = probed(f"{LINEAR}/av/map")
    row = table.rows[0]
    entry = dataclasses.replace(row.entries[6], numbers=(31.0,), seeds=(0,), clips=(400,))
    row = dataclasses.replace(row, entries=(*row.entries[:6], entry))
    text = markdown.render(dataclasses.replace(table, rows=(row, *table.rows[1:])))
    assert "| 0.00 | 31.0 ± — | 1/2 | 400 |" in text
    assert "| 0.50 | **42.0 ± 0.0** | 2/2 | 400 |" in text
    assert "- probe-linear/v1 mAP: data embedded, split probe\\_test, N = 400 clips." in text
    assert "- probe-linear/v1 mAP (audio-visual): not measured on 0.00 (seed 1)" in text


def test_every_format_has_the_column(probed, tmp_path):
    table = probed(f"{LINEAR}/av/map")
    tex = latex.render(table)
    assert r"\textbf{probe-linear/v1 mAP}" in tex
    assert r"\textbf{42.0 $\pm$ 0.0}" in tex
    lines = trace.frame(table)
    (line,) = lines[(lines["variant"] == "0.50") & (lines["metric"] == f"{LINEAR}/av/map")].to_dict(
        "records"
    )
    assert (line["mean"], line["n"], line["clips"]) == (42.0, 2, "400")
    assert (line["protocol"], line["split"], line["fingerprint"]) == (
        "probe-linear/v1",
        "probe_test",
        "3fa9c2",
    )
    assert len(line["signatures"].split()) == 2
    assert numbers(table)["mean/probe-linear_v1_embedded_av_map/0.50"] == 42.0
    names = {path.name for path in figures.draw(table, tmp_path, "masking")}
    assert {"masking.png", "masking-probes.png", "masking-probes.pdf"} <= names
    page = view(table.sweep, table.summary, table.dataset)
    assert page.value != view(masking(), table.summary, table.dataset).value


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_terminal_shows_the_first_probe_of_each_protocol_where_there_is_room(probed, width):
    names = [f"probe-{kind}/v1/embedded/{m}/map" for kind in ("linear", "attention") for m in "av"]
    names += ["probe-linear/v1/embedded/av/map", "probe-attention/v1/embedded/av/map"]
    out = Console(width=width, record=True, file=io.StringIO())
    out.print(console.Fitted(probed(*names)))
    text = out.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for head in ("attention/v1", "linear/v1"):
        assert (head in text.partition("──")[0]) == (width >= 80)
    left_out = "In the files, too wide for here: probe-attention/v1 mAP, probe-linear/v1 mAP."
    assert (left_out in " ".join(text.split())) == (width == 60)


def test_a_number_is_matched_with_the_evaluation_it_came_from(tmp_path):
    run = write_run(tmp_path, cells()[0])
    name = f"{LINEAR}/av/map"
    for split, value in (("probe_test", 0.4), ("test", 0.3)):
        told = {"protocol": "probe-linear/v1", "dataset": "embedded", "which": "last", "n": 40}
        keep(run, {**told, "split": split, "fingerprint": "ab", "metrics": {name: value}})
    tags = {"tgdp.directory": str(run.path)}
    held = TrackedRun("1", "", "FINISHED", metrics={name: 0.3}, tags=tags)
    assert measured(held) == {name: Measured("test", "ab", 40)}
    elsewhere = dataclasses.replace(held, tags={"tgdp.directory": "/no/such/folder"})
    assert measured(elsewhere) == {}
