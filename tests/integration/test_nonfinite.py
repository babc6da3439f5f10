"""Steps that are not finite: skipped, counted, and in the end the end of the run."""

import json
import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from kill_process import Attempt
from many_ranks import on_ranks
from poison import KINDS, Poison
from same_run import differing, final, measured, metrics, numbers
from small_run import CLIPS, FRAME, resolved, words

import tgdp.training.learner
import tgdp.training.trainer
from tgdp.cli import sweep_run, train_run
from tgdp.cli.sweep_run import Wanted
from tgdp.config import Config, dump
from tgdp.data.shards import PreparedClips
from tgdp.sweep.job import Job
from tgdp.training import checkpoint
from tgdp.training.batches import EpochBatches
from tgdp.training.learner import Learner
from tgdp.training.run_directory import RunDirectory
from tgdp.training.update import Update

pytestmark = pytest.mark.slow

STEPS = 9


@pytest.fixture(scope="module")
def data(prepared) -> Path:
    return prepared(CLIPS, size=FRAME)


@pytest.fixture
def make(data: Path, tmp_path: Path):
    """Return a function that makes a run in a folder of its own."""

    def make(name: str, **changes: Any) -> tuple[RunDirectory, Config]:
        given = {"training__steps": STEPS, "runtime__evaluate_every": None} | changes
        return resolved(data, tmp_path / name, **given)

    return make


def poisoned(patch: pytest.MonkeyPatch, poison: Poison) -> None:
    module = tgdp.training.learner
    patch.setattr(module, "compute_losses", poison.around(module.compute_losses))


def work(run: RunDirectory, config: Config) -> str | None:
    return Job(str(run.path), dump(config))()


def learned(learner: Learner) -> dict[str, str]:
    """Return what a step changes, exact, but for the learning rate and the scale."""
    teacher = {} if learner.teacher is None else learner.teacher.state_dict()
    optimizer = learner.optimizer.state_dict()["state"]
    return numbers({"s": learner.student.state_dict(), "t": teacher, "o": optimizer})


class Steps:
    """What each step of a run changed.

    Attributes:
        updates: What came of each.
        changed: How many tensors and numbers each of them changed.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.updates: list[Update] = []
        self.changed: list[int] = []
        self._real = tgdp.training.trainer.take_step
        patch.setattr(tgdp.training.trainer, "take_step", self._take)

    def _take(self, config: Config, learner: Learner, *rest: Any) -> Update:
        before = learned(learner)
        self.updates.append(self._real(config, learner, *rest))
        self.changed.append(len(differing(before, learned(learner))))
        return self.updates[-1]


def skips(run: RunDirectory) -> list[tuple[int, int]]:
    return [(e["step"], e["in_a_row"]) for e in run.events() if e["kind"] == "skip"]


def clips_of(data: Path, config: Config, step: int) -> list[str]:
    """Return the ids of the clips of the batch that follows so many steps."""
    clips = PreparedClips(data)
    numbers = clips.indices("train")
    batches = EpochBatches(len(numbers), config.training, config.seed)
    return [clips.ids[numbers[index]] for index in batches.samples(step)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_not_finite_changes_nothing_but_counts(make, data, monkeypatch, kind):
    run, config = make("run")
    poisoned(monkeypatch, Poison(kind, (2, 5, 6)))
    steps = Steps(monkeypatch)
    assert work(run, config) == "done"

    lost = [number for number, update in enumerate(steps.updates) if update.is_lost]
    assert lost == [2, 5, 6]
    assert [not changed for changed in steps.changed] == [n in lost for n in range(STEPS)]
    assert skips(run) == [(3, 1), (6, 1), (7, 2)]
    events = [event for event in run.events() if event["kind"] == "skip"]
    assert [event["clips"] for event in events] == [clips_of(data, config, n) for n in lost]
    values = dict(metrics(run)[:STEPS])
    counted = [values[step].get("train/skipped_steps") for step in range(1, STEPS + 1)]
    assert counted == [None, None, 1, 1, 1, 2, 3, 3, 3]
    assert ("train/grad_norm" in values[3], "train/grad_norm" in values[4]) == (False, True)
    # Every line is what other programs read too.
    for line in run.events_file.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    stored = checkpoint.load_newest(run.checkpoints)
    assert stored is not None
    assert stored["lost"] == {"total": 3, "in_a_row": 0}
    assert math.isfinite(run.status().loss or math.nan)


def test_three_in_a_row_end_a_run_that_stays_ended_until_asked_for(
    make, data, tmp_path, monkeypatch, capsys
):
    run, config = make("all")
    asked = words(data, training__steps=STEPS, runtime__evaluate_every=None)
    wanted = Wanted(asked, tmp_path / "all", cluster="debug")
    monkeypatch.setitem(sys.modules, "tgdp.report", no_tables())
    with monkeypatch.context() as patch:
        poisoned(patch, Poison("gradient", (3, 5, 6, 7)))
        assert sweep_run.real(train_run.ONE_RUN, wanted) == 1
    status = run.status()
    assert (status.state, status.step, status.attempt) == ("diverged", 8, 1)
    assert skips(run) == [(4, 1), (6, 1), (7, 2), (8, 3)]
    told = json.loads(run.diverged_file.read_text())
    assert (told["step"], told["clips"]) == (8, clips_of(data, config, 7))
    assert "diverged.json" in status.error

    capsys.readouterr()
    assert sweep_run.real(train_run.ONE_RUN, wanted) == 1
    assert "--retry-diverged" in capsys.readouterr().out
    assert train_run.train(asked, tmp_path / "all") == 1
    assert "diverged: no finite gradient in 3 steps" in capsys.readouterr().out
    assert run.status() == status

    again = Wanted(asked, tmp_path / "all", frozenset({"diverged"}), "debug")
    assert sweep_run.real(train_run.ONE_RUN, again) == 0
    assert run.status().attempt == 3  # one more that trains, and one that evaluates
    assert not run.diverged_file.exists()
    # It went on from step 6, the newest checkpoint, at which two had been lost.
    assert skips(run) == [(4, 1), (6, 1)]


def test_a_kill_within_a_row_of_lost_steps_keeps_the_count(make):
    run, config = make("run", runtime__save_every=1)
    poison = Poison("loss", (2, 4, 5, 6))
    attempt = Attempt(run, config, poison, led=True)
    assert attempt.go(1 + 6)
    attempt.kill()  # before the sixth step, the second that was lost, is saved
    assert (skips(run), run.status().saved) == ([(3, 1), (5, 1), (6, 2)], 5)
    assert Attempt(run, config, poison).join() == 1
    assert run.status().state == "diverged"
    assert skips(run) == [(3, 1), (5, 1), (6, 2), (7, 3)]
    told = json.loads(run.diverged_file.read_text())
    assert (told["step"], told["in_a_row"]) == (7, 3)
    stored = checkpoint.load_newest(run.checkpoints)
    assert stored is not None
    assert (stored["step"], stored["lost"]) == (6, {"total": 3, "in_a_row": 2})


def test_an_overflow_in_float16_lowers_the_scale_and_is_no_loss(make, data, monkeypatch):
    words = {"training__precision": "float16", "runtime__nonfinite_limit": 1}
    straight, config = make("straight", **words)
    poisoned(monkeypatch, Poison("gradient", (2, 5)))
    with monkeypatch.context() as patch:
        steps = Steps(patch)
        assert work(straight, config) == "done"
    skipped = [number for number, update in enumerate(steps.updates) if not update.is_taken]
    assert {2, 5} <= set(skipped)
    assert [not changed for changed in steps.changed] == [n in skipped for n in range(STEPS)]
    assert skips(straight) == []
    stored = checkpoint.load_newest(straight.checkpoints)
    assert stored is not None
    assert stored["lost"] == {"total": 0, "in_a_row": 0}
    first = torch.amp.GradScaler("cpu").get_scale()
    assert stored["scaler"]["scale"] == first / 2 ** len(skipped)

    broken, _ = make("broken", **words)
    attempt = Attempt(broken, config, Poison("gradient", (2, 5)), led=True)
    assert attempt.go(1 + 4)
    attempt.kill()
    assert work(broken, config) == "done"
    assert not differing(final(broken), final(straight))
    assert metrics(broken) == metrics(straight)
    assert measured(broken) == measured(straight)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_on_one_rank_is_skipped_on_all(make, monkeypatch, kind):
    run, config = make("two")
    assert on_ranks(run, config, 2, {1: Poison(kind, (2, 5))}) == [0, 0]
    assert run.status().state == "done"
    alone, _ = make("alone")
    poisoned(monkeypatch, Poison(kind, (2, 5)))
    assert work(alone, config) == "done"
    assert skips(run) == skips(alone) == [(3, 1), (6, 1)]
    for (step, ours), (_, theirs) in zip(metrics(run), metrics(alone), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4), step


def test_ranks_diverge_together(make, data):
    run, config = make("two")
    assert on_ranks(run, config, 2, {1: Poison("loss", (3, 4, 5))}) == [1, 0]
    assert run.status().state == "diverged"
    assert not (run.log / "error.txt").exists()  # nobody had an error of its own
    assert skips(run) == [(4, 1), (5, 2), (6, 3)]
    assert json.loads(run.diverged_file.read_text())["clips"] == clips_of(data, config, 5)


def no_tables() -> types.ModuleType:
    """Return a stand-in for what writes tables, which takes seconds to load."""
    module = types.ModuleType("tgdp.report")
    module.finish = lambda *_: ""  # type: ignore[attr-defined]
    return module
