"""Which clips make up which batch."""

from tgdp import presets
from tgdp.config import override
from tgdp.training.batches import EpochBatches
from tgdp.training.optim import learning_rate


def batches(num_clips: int, batch_size: int, steps: int, seed: int = 0) -> EpochBatches:
    changes = {"training.batch_size": batch_size, "training.steps": steps}
    return EpochBatches(num_clips, override(presets.tiny(), changes).training, seed)


def test_an_epoch_holds_each_clip_at_most_once_and_epochs_differ():
    every = list(batches(10, 4, 4))
    epochs = [[key for batch in every[start : start + 2] for key in batch] for start in (0, 2)]
    for number, keys in enumerate(epochs):
        assert {epoch for epoch, _ in keys} == {number}
        assert len({index for _, index in keys}) == 8
    assert [i for _, i in epochs[0]] != [i for _, i in epochs[1]]


def test_a_resumed_run_sees_the_batches_it_would_have_seen():
    whole = list(batches(50, 8, 20))
    assert list(batches(50, 8, 20).start_at(7)) == whole[7:]
    assert len(batches(50, 8, 20).start_at(7)) == 13


def test_seeds_shuffle_differently():
    assert next(iter(batches(50, 8, 1, seed=0))) != next(iter(batches(50, 8, 1, seed=1)))


def test_a_batch_never_holds_a_clip_twice_when_the_data_is_small():
    few = batches(14, 64, 3)
    assert few.batch_size == 14
    assert all(len({index for _, index in batch}) == 14 for batch in few)


def test_epochs_are_counted_in_whole_batches():
    changes = {"training.epochs": 3, "training.steps": None, "training.batch_size": 4}
    assert EpochBatches(10, override(presets.tiny(), changes).training, 0).total_steps == 6


def test_the_rate_rises_then_falls_to_nothing():
    training = override(presets.tiny(), {"training.warmup": 0.1}).training
    rates = [learning_rate(training, step, 100) for step in range(100)]
    assert rates[0] == training.learning_rate / 10
    assert max(rates) == rates[9] == training.learning_rate
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert rates[-1] < training.learning_rate / 100
