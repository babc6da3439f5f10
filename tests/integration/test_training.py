"""Training on prepared clips: it learns, and a stop in the middle changes nothing."""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from same_run import differing, final, measured, metrics

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import Config, dump, override
from tgdp.data.clips import PairDataset
from tgdp.errors import UserError
from tgdp.evaluation.run import evaluate, execute
from tgdp.evaluation.subject import open_subject
from tgdp.training import checkpoint
from tgdp.training.batches import EpochBatches
from tgdp.training.run_directory import RunDirectory

SMALL = {
    **SMALL_MODEL,
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


@pytest.fixture
def straight(tmp_path, config) -> RunDirectory:
    run = start(tmp_path / "straight", config)
    assert execute(run, config, lambda: False)
    return run


def same(run: RunDirectory, other: RunDirectory) -> None:
    assert not differing(final(run), final(other))
    assert metrics(run) == metrics(other)
    assert measured(run) == measured(other)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_stopped_and_resumed_run_ends_bitwise_equal(tmp_path, config, straight, steps):
    broken = start(tmp_path / "broken", config)
    assert not execute(broken, config, StopAfter(steps))
    assert execute(broken, config, lambda: False)
    same(broken, straight)


def test_a_run_killed_between_saves_repeats_no_event(tmp_path, config, straight):
    killed = start(tmp_path / "killed", config)
    execute(killed, config, StopAfter(8))
    for newest in checkpoint.paths(killed.checkpoints)[:1]:
        newest.unlink()  # as if the process had died before this save
    with killed.events_file.open("a") as file:
        file.write('{"kind": "metric", "st')  # torn by the kill
    execute(killed, config, lambda: False)
    same(killed, straight)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_off, "damaged checkpoint"),
        (flip_a_bit, "damaged checkpoint"),
        (Path.unlink, "missing, though it was saved last"),
    ],
)
def test_a_damaged_newest_checkpoint_costs_steps_and_no_more(
    tmp_path, config, straight, caplog, damage: Callable[[Path], None], says: str
):
    run = start(tmp_path / "run", config)
    execute(run, config, StopAfter(8))
    assert [step for step, _ in metrics(run)] == [2, 4, 6, 8]
    damage(run.checkpoints / "step-00000008.pt")
    assert not execute(run, config, lambda: True)
    assert [step for step, _ in metrics(run)] == [2, 4, 6]
    (warning,) = [record.getMessage() for record in caplog.records if says in record.getMessage()]
    assert "step-00000008.pt" in warning
    assert "going on from step 6" in warning
    assert execute(run, config, lambda: False)
    same(run, straight)


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker:UserWarning")
@pytest.mark.parametrize("workers", [1, 3])
def test_loader_workers_and_restarts_within_an_epoch_change_nothing(
    tmp_path, prepared, config, workers
):
    longer = override(config, {"data.folder": str(prepared([1.6] * 24))})  # three steps an epoch
    alone = start(tmp_path / "alone", longer)
    execute(alone, longer, lambda: False)
    helped_config = override(longer, {"runtime.num_workers": workers})
    helped = start(tmp_path / "helped", helped_config)
    for steps in (1, 4, 2):
        assert not execute(helped, helped_config, StopAfter(steps))
    assert helped.status().step == 7
    assert execute(helped, helped_config, lambda: False)
    same(helped, alone)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_reads_no_clip_again(tmp_path, prepared, config, monkeypatch, workers):
    """Each clip of a step that is to be taken is read once, of the steps before none."""
    changes = {"data.folder": str(prepared([1.6] * 24)), "runtime.num_workers": workers}
    config = override(config, {**changes, "runtime.prefetch": 1})
    batches = EpochBatches(12, config.training, config.seed)
    run = start(tmp_path / "run", config)
    stopped = noting_reads(tmp_path / "first.txt", monkeypatch)
    assert not execute(run, config, StopAfter(5))
    ahead = workers * config.runtime.prefetch
    reads = stopped()
    assert reads >= keys_of(batches, 0, 5)
    assert reads <= keys_of(batches, 0, 5 + ahead)
    resumed = noting_reads(tmp_path / "second.txt", monkeypatch)
    assert execute(run, config, lambda: False)
    assert resumed() == keys_of(batches, 5, 9)


Keys = Counter[tuple[int, int]]


def keys_of(batches: EpochBatches, first: int, end: int) -> Keys:
    """Return epoch and clip of every pair in a stretch of steps."""
    return Counter(
        (step // batches.steps_per_epoch, clip)
        for step in range(first, end)
        for clip in batches.samples(step)
    )


def noting_reads(file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Keys]:
    """Note every pair that is read, in whatever process; return what says which were."""
    real = PairDataset.__getitem__
    file.touch()

    def noted(self: PairDataset, key: tuple[int, int]):
        with file.open("a") as notes:
            notes.write(f"{key[0]} {key[1]}\n")
        return real(self, key)

    def read() -> Keys:
        lines = (line.split() for line in file.read_text().splitlines())
        return Counter((int(epoch), int(clip)) for epoch, clip in lines)

    monkeypatch.setattr(PairDataset, "__getitem__", noted)
    return read


def test_the_result_says_what_it_was_counted_over(tmp_path, config):
    run = start(tmp_path / "run", config)
    execute(run, config, lambda: False)
    result = run.result()
    assert result is not None
    assert (result["n"], result["split"], result["protocol"]) == (6, "test", "retrieval/v1")
    assert result["missing"] == []
    assert not result["on_training_clips"]
    assert run.status().step == run.status().total_steps == 9
    again = measure(run.path)
    assert again["metrics"] == result["metrics"]
    assert measure(run.path, split="train")["on_training_clips"]
    with pytest.raises(UserError, match="Valid: test, train"):
        measure(run.path, split="nosuch")


def test_a_gpu_that_is_not_there_is_refused(tmp_path, config):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    wanted = override(config, {"runtime.device": "cuda"})
    with pytest.raises(UserError, match=r"runtime\.device cuda"):
        execute(start(tmp_path / "run", wanted), wanted, lambda: False)


def measure(path: Path, split: str | None = None) -> dict:
    """Evaluate what lies in a run directory."""
    subject = open_subject(path, split=split)
    return evaluate(subject.encoder, subject.config)
