"""How the teacher's priorities decide what is seen, against brute force."""

import itertools
from typing import get_args

import pytest
import torch
from switch_bench import inputs, learners, with_changes

from tgdp.config import ContrastiveMask, num_kept
from tgdp.model.encoder import Encoder
from tgdp.model.selection import RULES, select
from tgdp.model.teacher import teacher_pass


def _priority(batch: int = 40, num: int = 24) -> torch.Tensor:
    return torch.rand(batch, num, generator=torch.Generator().manual_seed(1)) + 0.01


def _noise(batch: int = 40, num: int = 24) -> torch.Tensor:
    return torch.rand(batch, 2 * num, generator=torch.Generator().manual_seed(2))


def test_every_selection_but_random_has_its_rule():
    values = get_args(ContrastiveMask.model_fields["selection"].annotation)
    assert set(values) == {"random", *RULES}


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.9])
def test_guided_keeps_the_highest_priorities(ratio):
    priority = _priority()
    chosen = select("guided", priority, _noise(), ratio)
    best = priority.topk(num_kept(24, ratio), dim=1).indices
    assert torch.equal(chosen.ids_keep.sort(dim=1).values, best.sort(dim=1).values)
    assert (chosen.masked.sum(dim=1) == 24 - num_kept(24, ratio)).all()


def test_guided_does_not_look_at_the_noise():
    one = select("guided", _priority(), _noise(), 0.5)
    assert torch.equal(one.ids_keep, select("guided", _priority(), 1 - _noise(), 0.5).ids_keep)


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_scale_of_the_priorities_does_not_matter(rule, share):
    one = select(rule, _priority(), _noise(), 0.5, share)
    for scale in (1e-6, 1e3):
        other = select(rule, _priority() * scale, _noise(), 0.5, share)
        assert torch.equal(one.masked, other.masked)


def _inclusion(weights: list[float], num: int) -> list[float]:
    """Return how often each is among `num` draws without replacement, by going through them all."""
    found = [0.0] * len(weights)
    for order in itertools.permutations(range(len(weights)), num):
        chance, left = 1.0, sum(weights)
        for index in order:
            chance, left = chance * weights[index] / left, left - weights[index]
        for index in order:
            found[index] += chance
    return found


def test_sampled_draws_one_after_the_other_in_proportion_to_priority():
    weights, trials = [0.5, 1.0, 2.0, 4.0, 8.0], 40_000
    noise = torch.rand(trials, 10, generator=torch.Generator().manual_seed(3))
    chosen = select("sampled", torch.tensor([weights]).expand(trials, -1), noise, 0.6)
    frequency = (~chosen.masked).float().mean(dim=0)
    exact = torch.tensor(_inclusion(weights, 2))
    assert exact.sum() == pytest.approx(2)
    assert ((frequency - exact).abs() < 4 * (exact * (1 - exact) / trials).sqrt()).all()


def test_the_first_that_sampled_draws_follows_the_priorities_themselves():
    weights, trials = torch.tensor([1.0, 2.0, 3.0, 4.0]), 40_000
    noise = torch.rand(trials, 8, generator=torch.Generator().manual_seed(4))
    first = select("sampled", weights.expand(trials, -1), noise, 0.5).ids_keep[:, 0]
    counts, expected = first.bincount(minlength=4), trials * weights / weights.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-square of 3, 1 in 1000


def test_sampled_survives_priorities_of_nothing_and_noise_at_its_ends():
    priority = torch.tensor([[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    noise = torch.tensor([[0.0, 1 - 2**-24, 0.0, 0.5] * 2] * 2)
    chosen = select("sampled", priority, noise, 0.5)
    assert (chosen.masked.sum(dim=1) == 2).all()
    assert not chosen.masked[0, 2]


@pytest.mark.parametrize("rule", list(RULES))
@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.8])
def test_a_mixture_takes_its_share_by_rule_and_the_rest_from_all_others(rule, share, ratio):
    priority, noise = _priority(), _noise()
    kept = num_kept(24, ratio)
    by_rule = round(share * kept)
    chosen = select(rule, priority, noise, ratio, share)
    assert chosen.ids_keep.shape == (40, kept)
    order = RULES[rule](priority, noise[:, :24]).argsort(dim=1, descending=True)
    first, others = order[:, :by_rule], order[:, by_rule:]
    assert not chosen.masked.gather(1, first).any()
    # Of the others those with the lowest noise stay, whatever their priority.
    left = noise[:, 24:].gather(1, others).argsort(dim=1)[:, : kept - by_rule]
    assert not chosen.masked.gather(1, others.gather(1, left)).any()


def test_the_random_part_of_a_mixture_is_even():
    trials = 20_000
    priority = torch.arange(8.0).expand(trials, -1)
    noise = torch.rand(trials, 16, generator=torch.Generator().manual_seed(5))
    frequency = (~select("guided", priority, noise, 0.5, 0.5).masked).float().mean(dim=0)
    assert frequency[6:].tolist() == [1.0, 1.0]
    assert frequency[:6].tolist() == pytest.approx([1 / 3] * 6, abs=0.015)


def _shuffled_priority(encoder: Encoder, audio: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    """Return what the released teacher does: it shuffles its tokens before the first layer."""
    patches = encoder.audio.patch_embed(audio.transpose(1, 2)[:, None])
    shuffled = patches.gather(1, order[:, :, None].expand(-1, -1, patches.shape[2]))
    tokens = encoder.audio(shuffled)
    return encoder.priority(tokens, "audio", "cls_to_patch", with_vector=False)[1]


def test_guided_shuffled_is_a_teacher_that_really_shuffles():
    config = with_changes()
    _, teacher = learners(config)
    pair, noise = inputs(config), _noise(5, 32)
    order = noise[:, :32].argsort(dim=1, stable=True)
    with torch.no_grad():
        theirs = _shuffled_priority(teacher, pair.audio, order)
        ours = teacher_pass(teacher, pair.audio, pair.image, "cls_to_patch").priority.audio
    torch.testing.assert_close(RULES["guided_shuffled"](ours, noise[:, :32]), theirs)
    as_released = select("guided", theirs, noise, 0.5)
    assert torch.equal(select("guided_shuffled", ours, noise, 0.5).masked, as_released.masked)


def test_guided_shuffled_meets_the_true_top_half_by_chance():
    priority, noise = _priority(2000), _noise(2000)
    seen = ~select("guided_shuffled", priority, noise, 0.5).masked
    best = ~select("guided", priority, noise, 0.5).masked
    overlap = (seen & best).float().sum(dim=1).mean() / 12
    assert overlap.item() == pytest.approx(0.5, abs=0.02)
