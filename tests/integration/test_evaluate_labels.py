"""Probes over the label lists as they are published: 309 classes of one label, 527 of several."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from labelled_clips import Labelled, write_labelled

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.cli.evaluate import app
from tgdp.config import dump, override
from tgdp.data.labels import LabelVocabulary
from tgdp.data.manifest import Clip, read_manifest
from tgdp.evaluation.probe.settings import RATES
from tgdp.training.learner import build_learner
from tgdp.training.run_directory import RunDirectory
from tgdp.training.saving import save

pytestmark = [pytest.mark.shared, pytest.mark.slow]

TRAIN, TEST = "probe_train", "probe_test"
SMALL = {**SMALL_MODEL, "evaluation.split": TEST, "runtime.threads": 1, "runtime.num_workers": 0}


def measured(folder: Path, where: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what `tgdp-eval all` finds with an encoder that was not trained."""
    for kind, rate in {"attention": 1e-3, "linear": 1e-2}.items():
        monkeypatch.setitem(RATES, kind, (rate,))
    config = override(presets.tiny(), {**SMALL, "data.folder": str(folder)})
    run = RunDirectory(where / "results" / "runs" / "0")
    run.create(dump(config))
    save(run, config, build_learner(config, torch.device("cpu")))
    words = [str(run.path), "--data", str(folder), "--seeds", "2", "--json"]
    done = CliRunner().invoke(app, ["all", *words, "--results", str(where / "results")])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["not_measured"] == []
    return found["results"]


def check_rows(result: dict[str, Any], clips: list[Labelled], vocabulary: LabelVocabulary) -> None:
    """Hold the classes of a result against the labels of the clips that were tested."""
    names = dict(zip(vocabulary.mids, vocabulary.names, strict=True))
    counts = Counter(mid for clip in clips if clip.split == TEST for mid in clip.labels)
    assert {row["mid"]: row["n"] for row in result["per_class"]} == counts
    assert all(row["name"] == names[row["mid"]] for row in result["per_class"])


def figures(result: dict[str, Any], name: str) -> dict[str, float]:
    prefix = f"{result['protocol']}/{name}/av/"
    return {key.removeprefix(prefix): value for key, value in result["metrics"].items()}


def vggsound(clips: tuple[Clip, ...]) -> list[Labelled]:
    """Return the five clips of eight classes: three to train, the others to test, or one."""
    groups: dict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[clip.labels[0]].append(clip)
    chosen: list[Labelled] = []
    for number, (mid, group) in enumerate(sorted(groups.items())[:8]):
        chosen += [Labelled(clip.id, (mid,), TRAIN) for clip in group[:3]]
        chosen += [Labelled(clip.id, (mid,), TEST) for clip in group[3 : 4 + number % 2]]
    return chosen


def test_vggsound_has_309_classes_of_one_label(shared, tmp_path, monkeypatch):
    metadata = shared / "metadata"
    manifest = read_manifest(
        metadata / "vgg_test_5_per_class_for_retrieval_template.json",
        metadata / "class_labels_indices_vgg.csv",
        tmp_path,
    )
    clips = vggsound(manifest.clips)
    folder = write_labelled(tmp_path / "vgg", clips, manifest.vocabulary, "vgg")
    retrieval, *probes = measured(folder, tmp_path, monkeypatch)
    check_rows(retrieval, clips, manifest.vocabulary)
    assert [probe["protocol"] for probe in probes] == ["probe-attention/v1", "probe-linear/v1"]
    for probe in probes:
        check_rows(probe, clips, manifest.vocabulary)
        assert probe["settings"]["task"] == "singlelabel"
        assert (probe["classes"], probe["classes_present"], probe["n"]) == (309, 8, 12)
        found, rows = figures(probe, "vgg"), probe["per_class"]
        assert set(found) == {"top1", "top5", "class_top1"}
        # Colour and pitch tell the classes apart, and by chance one in 309 is right.
        assert 0.3 < found["top1"] <= found["top5"]
        assert found["class_top1"] == pytest.approx(fmean(row["top1"] for row in rows))
        right = sum(row["n"] * row["top1"] for row in rows)
        assert found["top1"] == pytest.approx(right / probe["n"])


def test_audioset_has_527_classes_of_several_labels(shared, tmp_path, monkeypatch):
    metadata = shared / "metadata"
    manifest = read_manifest(
        metadata / "sample_json_as.json", metadata / "class_labels_indices_as.csv", tmp_path
    )
    clips = [
        Labelled(clip.id, clip.labels, TEST if number % 3 == 2 else TRAIN)
        for number, clip in enumerate(manifest.clips[:48])
    ]
    assert max(len(clip.labels) for clip in clips) > 2
    folder = write_labelled(tmp_path / "as", clips, manifest.vocabulary, "as20k")
    retrieval, *probes = measured(folder, tmp_path, monkeypatch)
    check_rows(retrieval, clips, manifest.vocabulary)
    present = len({mid for clip in clips if clip.split == TEST for mid in clip.labels})
    assert len(probes) == 2
    for probe in probes:
        check_rows(probe, clips, manifest.vocabulary)
        assert probe["settings"]["task"] == "multilabel"
        assert (probe["classes"], probe["classes_present"], probe["n"]) == (527, present, 16)
        found, precision = figures(probe, "as20k"), [row["ap"] for row in probe["per_class"]]
        assert set(found) == {"map", "map_present", "mauc", "d_prime"}
        assert found["map_present"] == pytest.approx(fmean(precision))
        assert found["map"] == pytest.approx(sum(precision) / 527)
        low, high = probe["intervals"][f"{probe['protocol']}/as20k/av/map"]
        assert low <= found["map"] <= high <= present / 527
