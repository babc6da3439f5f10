"""Released files at the command line: inspected, written, measured, and started from."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.released_states import CAV_MAE_FINE_TUNED, SMALL, mae_shapes, random, shapes, zeros
from tgdp import presets
from tgdp.cli import evaluate
from tgdp.cli.train_run import ONE_RUN
from tgdp.config import Config, dump, override, signature
from tgdp.errors import UserError
from tgdp.evaluation.subject import is_ours
from tgdp.sweep.resolve import Words, resolve_base
from tgdp.training.learner import build_learner
from tgdp.training.run_directory import RunDirectory
from tgdp.training.saving import save

SIZE = {
    "model.width": 64,
    "model.num_heads": 1,
    "model.decoder.width": 32,
    "model.decoder.num_layers": 2,
    "model.decoder.num_heads": 1,
    "data.segment_steps": 96,
    "data.image_size": 32,
    "data.timing": "upstream",
    "evaluation.split": "test",
    "runtime.threads": 1,
    "runtime.num_workers": 0,
}


@pytest.fixture(autouse=True)
def _own_results(monkeypatch, tmp_path):
    monkeypatch.setenv("TGDP_RESULTS", str(tmp_path / "results"))


@pytest.fixture
def config(prepared) -> Config:
    return override(presets.paper(), {**SIZE, "data.folder": str(prepared([1.6] * 6))})


@pytest.fixture
def run(tmp_path: Path, config: Config) -> Path:
    made = RunDirectory(tmp_path / "4f0c1b")
    made.create(dump(config))
    save(made, config, build_learner(config, torch.device("cpu")))
    return made.path


def call(*words: object) -> str:
    result = CliRunner().invoke(evaluate.app, [str(word) for word in words])
    if result.exception:
        raise result.exception
    return result.stdout


def test_an_export_is_read_back_and_retrieves_the_same(tmp_path, run, config):
    out = tmp_path / "mine.pth"
    told = call("export", run, out)
    assert "Wrote" in told
    assert "Class: CAVMAE_DP(img_size=32, audio_length=96, embed_dim=64" in told
    assert "retrieval.py builds no model of these sizes" in told
    seen = json.loads(call("inspect", out, "--json"))
    assert seen["kind"] == "TG-DP or CAV-MAE Sync"
    assert not seen["problems"]
    assert not is_ours(out)
    ours = json.loads(call("retrieval", run, "--json"))
    theirs = json.loads(
        call("retrieval", out, "--data", config.data.folder, "--split", "test", "--json")
    )
    ours["metrics"] = {
        name.replace("audioset", "test"): value for name, value in ours["metrics"].items()
    }
    assert theirs["metrics"] == ours["metrics"]
    with pytest.raises(UserError, match=r"mine\.pth: is there already; --force"):
        call("export", run, out)
    call("export", run, out, "--force")
    with pytest.raises(UserError, match="cannot be written"):
        call("export", run, tmp_path / "nowhere" / "mine.pth")
    with pytest.raises(UserError, match="give --data DIR"):
        call("retrieval", out)
    with pytest.raises(UserError, match="a checkpoint of tgdp itself"):
        call("inspect", next((run / "checkpoints").glob("*.pt")))


def test_the_script_word_of_a_full_size_export(tmp_path, run, monkeypatch):
    monkeypatch.setattr(
        "tgdp.cli.checkpoints.script_type", lambda _: "sync_pretrain_registers_cls_4s"
    )
    told = call("export", run, tmp_path / "mine.pth")
    assert "--model_types sync_pretrain_registers_cls_4s" in told


def test_inspect_tells_every_group_of_names_with_its_reason(tmp_path):
    file = tmp_path / "file.pth"
    torch.save(zeros(shapes(replace(CAV_MAE_FINE_TUNED, width=64)), "module."), file)
    told = call("inspect", file)
    assert "CAV-MAE, fine-tuned" in told
    for reason in ("no pass of the", "the file holds", "classification"):
        assert reason in told
    torch.save(zeros({**shapes(SMALL), "surplus": (1,)}), file)
    with pytest.raises(UserError, match="1 names are not explained, so it is not loaded"):
        call("inspect", file)
    torch.save(zeros(mae_shapes(64)), file)
    with pytest.raises(UserError, match=r"an MAE ViT.*init\.source=file"):
        call("inspect", file)


def test_a_run_is_named_by_the_content_of_its_start_weights(tmp_path):
    file = tmp_path / "start.pth"
    torch.save(random(mae_shapes(64)), file)
    words = Words(assignments=("init.source=file", f"init.file={file}"))
    first = resolve_base(ONE_RUN, words, tmp_path).config
    assert first.init.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    moved = file.rename(tmp_path / "elsewhere.pth")
    words = Words(assignments=("init.source=file", f"init.file={moved}"))
    assert signature(resolve_base(ONE_RUN, words, tmp_path).config) == signature(first)
    torch.save(random(mae_shapes(64), seed=1), moved)
    assert signature(resolve_base(ONE_RUN, words, tmp_path).config) != signature(first)
    moved.unlink()
    with pytest.raises(UserError, match=r"init\.file .*elsewhere\.pth: no such file"):
        resolve_base(ONE_RUN, words, tmp_path)
    by_content = ("init.source=file", f"init.sha256={first.init.sha256}")
    named = resolve_base(ONE_RUN, Words(assignments=by_content), tmp_path).config
    assert signature(named) == signature(first)
