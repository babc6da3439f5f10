"""Laws of masking and of the random numbers behind it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from tgdp.config import num_kept
from tgdp.data import draws
from tgdp.model import masking

sizes = st.integers(1, 40)


@given(sizes, sizes, st.floats(0, 0.99), st.integers(0, 2**31))
def test_the_kept_count_is_exact_and_restore_undoes_gather(batch, num, ratio, seed):
    noise = torch.rand(batch, num, generator=torch.Generator().manual_seed(seed))
    chosen = masking.random(noise, ratio)
    kept = num_kept(num, ratio)
    assert chosen.ids_keep.shape == (batch, kept)
    assert (chosen.masked.sum(dim=1) == num - kept).all()
    tokens = torch.arange(batch * num, dtype=torch.float32).view(batch, num, 1) + 1
    zero = torch.zeros(1, 1, 1)
    whole = masking.restore(masking.gather(tokens, chosen.ids_keep), zero, chosen.ids_restore)
    assert torch.equal(whole, tokens.masked_fill(chosen.masked[:, :, None], 0))


@given(st.integers(0, 2**40), st.integers(0, 10**6), st.lists(st.integers(0, 10**7), min_size=1))
def test_a_draw_depends_on_its_sample_and_not_on_its_neighbours(seed, epoch, samples):
    together = draws.uniform(seed, "frame", epoch, torch.tensor(samples), 5)
    alone = [draws.uniform(seed, "frame", epoch, torch.tensor([s]), 5) for s in samples]
    assert torch.equal(together, torch.cat(alone))
    assert ((together >= 0) & (together < 1)).all()


def test_draws_are_uniform_and_streams_are_independent():
    samples = torch.arange(20_000)
    streams = [
        draws.uniform(seed, purpose, epoch, samples, 2)
        for seed, purpose, epoch in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))
    ]
    columns = torch.cat(streams, dim=1).T
    # Four standard errors of the mean of uniform numbers, and of a correlation.
    assert (columns.mean(dim=1) - 0.5).abs().max() < 4 * 12**-0.5 * 20_000**-0.5
    assert torch.corrcoef(columns).fill_diagonal_(0).abs().max() < 4.5 * 20_000**-0.5
