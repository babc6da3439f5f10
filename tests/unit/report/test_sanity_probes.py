"""Sanity rows under the probes of a table: the same probe, on features that know nothing."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tests.fake_runs import masking, write_run
from tests.small_model import SMALL_MODEL
from tgdp.config import override
from tgdp.data.shards import PreparedClips
from tgdp.data.synthetic.factors import draw_clip
from tgdp.data.synthetic.spec import SynthSpec
from tgdp.errors import UserError
from tgdp.evaluation.feature_reader import FeatureReader
from tgdp.evaluation.measure import measure_probe
from tgdp.evaluation.probe.settings import ProbeSettings
from tgdp.evaluation.record import keep
from tgdp.evaluation.sanity import untrained
from tgdp.evaluation.subject import LAST, Subject
from tgdp.presets import tiny
from tgdp.report import published, sanity
from tgdp.report.build import build
from tgdp.report.collect import collect
from tgdp.report.measured import Measured
from tgdp.report.sanity_measure import measure
from tgdp.report.sanity_probes import told
from tgdp.report.sanity_request import Request
from tgdp.sweep import track
from tgdp.sweep.declare import expand

SPEC = SynthSpec(clips=64, seed=3)
CLIPS = 24
"""In each of the splits `train` and `test`."""
SETTINGS = ProbeSettings(
    kind="linear", task="singlelabel", rates=(1e-2,), seeds=(0, 1), min_steps=200, resamples=10
)
COLUMN = "probe-linear/v1/embedded/av/top1"
TITLE = "probe-linear/v1 Top-1 audio-visual"


@pytest.fixture(scope="module")
def data(prepared):
    """Return a folder that calls itself the embedded benchmark; the labels are the shapes."""
    folder = prepared([1.0] * (2 * CLIPS))
    card = json.loads((folder / "dataset.json").read_text())
    card |= {"fingerprint": SPEC.fingerprint, "name": "embedded"}
    (folder / "dataset.json").write_text(json.dumps(card))
    records = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    for number, record in enumerate(records):
        (thing,) = draw_clip(SPEC, record["split"], number // 2).objects
        record |= {"id": f"{record['split']}-{number // 2:05d}", "labels": ["abcd"[thing.shape]]}
    (folder / "samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    lines = [f"{place},{mid},{mid}" for place, mid in enumerate("abcde")]
    (folder / "labels.csv").write_text("\n".join(["index,mid,display_name", *lines, ""]))
    clips = folder.with_name(f"{folder.name}-clips")
    clips.mkdir()
    (clips / "spec.json").write_text(json.dumps(SPEC.source))
    return folder


@pytest.fixture(scope="module")
def config(data):
    own = {"data.name": "embedded", "data.folder": str(data)}
    own |= {"data.fingerprint": SPEC.fingerprint, "runtime.threads": 1, "runtime.device": "cpu"}
    splits = {"data.train_split": "train", "evaluation.split": "test"}
    return override(tiny(), {**SMALL_MODEL, **splits, **own})


@pytest.fixture(scope="module")
def results(config, tmp_path_factory):
    """A sweep in which one row of two seeds was probed, by what `tgdp-eval` keeps."""
    folder = tmp_path_factory.mktemp("results")
    encoder = untrained(override(config, {"seed": 7}))
    subject = Subject(encoder, config, "step 10", LAST, None, folder)
    probed = measure_probe(FeatureReader(subject, folder / "f"), ("train", "test"), SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        rows = {"0.00", "0.50"}
        made = [c for c in expand(masking(), config, (0, 1)) if c.variant.label in rows]
        for cell in made:
            run = write_run(folder, cell, steps=10)
            found = json.loads(run.result_file.read_text())
            run.result_file.write_text(json.dumps({**found, "n": CLIPS, "split": "test"}))
            if cell.variant.label == "0.50":
                keep(run, probed)
        track.sync_sweep(folder, masking(), made, "tiny on embedded")
        yield folder


@pytest.fixture(scope="module")
def built(results):
    tracked = track.read(results)
    frame = collect(tracked, tracked.summaries[0])
    (table,) = build(masking(), tracked.summaries[0], frame, published.load(results))
    assert table.sweep.metrics[-1].title == TITLE
    return table, tracked


@pytest.fixture(scope="module")
def below(results, built):
    """The rows, the words that were said while they were measured, and those of warning."""
    said: list[str] = []
    warned: list[str] = []
    rows = sanity.rows(results, *built, progress=said.append, warn=warned.append)
    return {row.label: row.entries[-1] for row in rows}, said, warned


def test_each_row_is_the_probe_of_the_column_on_features_that_know_nothing(
    below, config, data, tmp_path
):
    entries, _, warned = below
    assert warned == []
    labels = [PreparedClips(data).labels[int(i)][0] for i in PreparedClips(data).indices("test")]
    assert entries["chance"].numbers == (pytest.approx(100 / len(set(labels))),)
    assert entries["oracle"].numbers == (100.0,)
    shares = {100 * Counter(labels)[mid] / CLIPS for mid in "abcde"}
    # One class for all clips: nothing but how frequent it is.
    for number in entries["mean embedding"].numbers:
        assert min(abs(number - share) for share in shares) < 1e-9
    wanted: list[float] = []
    for seed in (0, 1):
        seeded = override(config, {"seed": seed})
        subject = Subject(untrained(seeded), seeded, "", LAST, None, data)
        found = measure_probe(FeatureReader(subject, tmp_path), ("train", "test"), SETTINGS)
        wanted.append(100 * found["metrics"][COLUMN])
    assert entries["untrained"].numbers == pytest.approx(wanted)
    assert entries["untrained"].seeds == entries["mean embedding"].seeds == (0, 1)
    assert entries["oracle"].seeds == entries["chance"].seeds == ()
    assert {clips for entry in entries.values() for clips in entry.clips} == {CLIPS}


def test_what_is_kept_says_how_it_was_probed(below, results):
    assert below[0]["untrained"].numbers
    kept = [json.loads(path.read_text()) for path in (results / "sanity").iterdir()]
    probes = [one["facts"] for one in kept if "probe" in one["facts"]]
    assert sorted((one["row"], one.get("seed")) for one in probes) == [
        ("mean embedding", 0),
        ("mean embedding", 1),
        ("oracle", None),
        ("untrained", 0),
        ("untrained", 1),
    ]
    assert {(one["protocol"], one["split"]) for one in probes} == {("probe-linear/v1", "test")}
    facts = probes[0]["probe"]
    assert (facts["train_split"], facts["modality"], facts["task"]) == (
        "train",
        "av",
        "singlelabel",
    )
    assert (facts["rates"], facts["seeds"], facts["min_steps"]) == ([1e-2], [0, 1], 200)
    assert "resamples" not in facts


def test_how_far_it_is_is_said_while_it_is_measured(below):
    said = below[1]
    start = "Measuring mean embedding by probe-linear/v1 av, seed 0"
    assert f"{start}: 8 of {CLIPS} clips are read ..." in said
    assert f"{start}: 2 of 3 probes are trained ..." in said
    assert "Measuring oracle by probe-linear/v1 av: 3 of 3 probes are trained ..." in said


def test_a_probe_that_takes_long_says_so(below, results, built):
    known = told(built[0], len(built[0].sweep.metrics) - 1, built[1]).probe
    assert known is not None
    shortest = {"kind": "attention", "seeds": (0,), "epochs": 1, "min_steps": 1}
    probe = known._replace(settings=dataclasses.replace(known.settings, **shortest))
    config = sanity.base(*built)
    protocol = probe.settings.protocol
    said: list[str] = []
    request = Request("oracle", config, protocol, SPEC.fingerprint, "test", probe)
    measure(request, results / "features", said.append)
    start = "Measuring oracle by probe-attention/v1 av, which takes long"
    assert said == [f"{start}: {done} of 2 probes are trained ..." for done in range(3)]


def test_printed_again_nothing_is_measured_and_torch_stays_away(below, results):
    numbers = below[0]["untrained"].numbers
    before = {path: path.stat().st_mtime_ns for path in (results / "sanity").iterdir()}
    code = (
        "import sys; from typer.testing import CliRunner; from tgdp.cli.report import app; "
        "done = CliRunner().invoke(app, ['tables', 'masking', '--sanity', '--results', "
        "sys.argv[1]]); assert done.exit_code == 0, done.output; print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(results)]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
    assert before == {path: path.stat().st_mtime_ns for path in (results / "sanity").iterdir()}
    text = (results / "tables" / "masking.md").read_text()
    assert f"| *untrained* | *{np.mean(numbers):.1f} ± {np.std(numbers, ddof=1):.1f}* | 2 |" in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"protocol": "probe-linear/v2"}, "is of probe-linear/v2; this version: probe-linear/v1"),
        ({"facts": Measured("test", "feed", 0)}, f"is {SPEC.fingerprint}, but the column is of fe"),
    ],
)
def test_what_cannot_be_measured_here_leaves_a_dash_and_retrieval_as_it_is(
    below, results, built, monkeypatch, changes, why
):
    table, tracked = built
    other = dataclasses.replace(table.sweep.metrics[-1], **changes)
    metrics = (*table.sweep.metrics[:-1], other)
    table = dataclasses.replace(table, sweep=dataclasses.replace(table.sweep, metrics=metrics))
    known = told(built[0], len(metrics) - 1, tracked)
    monkeypatch.setattr(sanity, "told", lambda *_: known)
    warned: list[str] = []
    rows = sanity.rows(results, table, tracked, warn=warned.append)
    (line,) = warned
    assert line.startswith(f"no 'mean embedding', 'untrained', 'oracle' under {TITLE}: ")
    assert why in line
    assert [row.label for row in rows if row.entries[-1].numbers] == ["chance"]
    assert all(row.entries[0].numbers for row in rows)


def test_a_damaged_file_is_named_and_not_taken_for_a_dash(below, results, built):
    kept = {path: json.loads(path.read_text()) for path in (results / "sanity").iterdir()}
    path = next(p for p, one in kept.items() if "probe" in one["facts"])
    whole = path.read_text()
    path.write_text(whole[:40])
    with pytest.raises(UserError, match=f"{path.name}: cannot be read .* delete it"):
        sanity.rows(results, *built)
    path.write_text(whole)
