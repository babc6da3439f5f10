"""Training on prepared clips: it learns, and a stop in the middle changes nothing."""

from pathlib import Path

import pytest
import torch

from tgdp import presets
from tgdp.config import Config, dump, override
from tgdp.errors import UserError
from tgdp.evaluation.run import evaluate_checkpoint, execute
from tgdp.training import checkpoint
from tgdp.training.run_directory import RunDirectory

SMALL = {
    "model.width": 16,
    "model.num_heads": 2,
    "model.modality_layers": 1,
    "model.decoder.width": 8,
    "teacher.enabled": True,
    "distillation.weight": 0.5,
    "contrastive.mask.selection": "guided",
    "training.batch_size": 4,
    "training.steps": 9,
    "data.train_split": "train",
    "evaluation.split": "test",
    "runtime.log_every": 2,
    "runtime.save_every": 3,
    "runtime.threads": 1,
}


@pytest.fixture
def config(prepared) -> Config:
    folder = prepared([1.6] * 12)
    return override(presets.tiny(), {**SMALL, "data.folder": str(folder)})


def start(path: Path, config: Config) -> RunDirectory:
    run = RunDirectory(path)
    run.create(dump(config))
    return run


class StopAfter:
    """Asks to stop once it has been asked so many times."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self) -> bool:
        """Count down."""
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("steps", [1, 4])
def test_a_stopped_and_resumed_run_ends_bitwise_equal(tmp_path, config, steps):
    straight = start(tmp_path / "straight", config)
    assert execute(straight, config, lambda: False)
    broken = start(tmp_path / "broken", config)
    assert not execute(broken, config, StopAfter(steps))
    assert execute(broken, config, lambda: False)
    assert final(straight) == final(broken)
    assert metrics(straight) == metrics(broken)
    one, other = straight.result(), broken.result()
    assert one is not None
    assert other is not None
    assert one["metrics"] == other["metrics"]


def test_a_run_killed_between_saves_repeats_no_event(tmp_path, config):
    straight = start(tmp_path / "straight", config)
    execute(straight, config, lambda: False)
    killed = start(tmp_path / "killed", config)
    execute(killed, config, StopAfter(8))
    for newest in checkpoint.paths(killed.checkpoints)[:1]:
        newest.unlink()  # as if the process had died before this save
    with killed.events_file.open("a") as file:
        file.write('{"kind": "metric", "st')  # torn by the kill
    execute(killed, config, lambda: False)
    assert metrics(straight) == metrics(killed)
    assert final(straight) == final(killed)


def test_the_number_of_loader_workers_changes_nothing(tmp_path, config):
    alone = start(tmp_path / "alone", config)
    execute(alone, config, lambda: False)
    helped_config = override(config, {"runtime.num_workers": 2})
    helped = start(tmp_path / "helped", helped_config)
    execute(helped, helped_config, lambda: False)
    assert final(alone) == final(helped)


def test_the_result_says_what_it_was_counted_over(tmp_path, config):
    run = start(tmp_path / "run", config)
    execute(run, config, lambda: False)
    result = run.result()
    assert result is not None
    assert (result["n"], result["split"], result["protocol"]) == (6, "test", "retrieval/v1")
    assert result["missing"] == []
    assert not result["on_training_clips"]
    assert run.status().step == run.status().total_steps == 9
    again = evaluate_checkpoint(run.path)
    assert again["metrics"] == result["metrics"]
    assert evaluate_checkpoint(run.path, split="train")["on_training_clips"]
    with pytest.raises(UserError, match="Valid: test, train"):
        evaluate_checkpoint(run.path, split="nosuch")


def test_a_gpu_that_is_not_there_is_refused(tmp_path, config):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    wanted = override(config, {"runtime.device": "cuda"})
    with pytest.raises(UserError, match=r"runtime\.device cuda"):
        execute(start(tmp_path / "run", wanted), wanted, lambda: False)


def final(run: RunDirectory) -> str:
    """A text of every weight and optimiser state at the end, exact."""
    stored = checkpoint.load_newest(run.checkpoints)
    assert stored is not None
    assert stored["step"] == 9
    return "\n".join(_lines("", {k: stored[k] for k in ("student", "teacher", "optimizer")}))


def _lines(name: str, value):
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _lines(f"{name}/{key}", value[key])
    elif isinstance(value, torch.Tensor):
        yield f"{name} {value.numpy().tobytes().hex()}"
    else:
        yield f"{name} {value}"


def metrics(run: RunDirectory) -> list:
    """Every metric event without time stamps and speeds, which no two runs share."""
    return [
        (event["step"], {k: v for k, v in event["values"].items() if not k.startswith("perf/")})
        for event in run.events()
        if event["kind"] == "metric"
    ]
