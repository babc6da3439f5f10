"""The two probes as networks: sizes, and that every part of them is trained."""

import numpy as np
import pytest
import torch

from tgdp.evaluation.probe import fit as fitting
from tgdp.evaluation.probe.fit import Examples, fit, predict
from tgdp.evaluation.probe.heads import AttentionProbe, LinearProbe, heads_for, num_parameters
from tgdp.evaluation.probe.settings import ProbeSettings

CPU = torch.device("cpu")
FULL_WIDTH, AUDIOSET = 2 * 768, 527
RELEASED_MILLIONS = 57.50
"""Counted on the released probe: `results/published.csv`."""
NAMES = {
    "cls_token",
    *(
        f"blocks.{i}.{part}.{kind}"
        for i in (0, 1)
        for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
        for kind in ("weight", "bias")
    ),
    "norm.weight",
    "norm.bias",
    "head.weight",
    "head.bias",
}


class Rows:
    """Inputs held in an array."""

    def __init__(self, values):
        self.values, self.width = values, values.shape[-1]

    def __len__(self):
        return len(self.values)

    def read(self, rows):
        """Return some of them."""
        return self.values[rows]


def examples(shape, seed=0):
    rng = np.random.default_rng(seed)
    return Examples(Rows(rng.normal(size=shape).astype(np.float32)), rng.random(shape[:1]) < 0.5, 2)


def one_label(shape):
    made = examples(shape)
    return Examples(made.inputs, made.targets.astype(np.int64), 2)


def settings(**changes):
    defaults = {"task": "singlelabel", "epochs": 1, "min_steps": 3, "batch": 8}
    return ProbeSettings(**{**defaults, **changes})


def test_the_probe_of_the_paper_has_its_size():
    probe = AttentionProbe(FULL_WIDTH, AUDIOSET)
    ours = num_parameters(probe)
    # Upstream: two more pairs of norms in each layer, which nothing reads.
    unread_norms = 2 * 2 * 2 * 2 * FULL_WIDTH
    assert round((ours + unread_norms) / 1e6, 2) == RELEASED_MILLIONS
    assert round(ours / 1e6, 1) == 57.5
    assert [block.attn.num_heads for block in probe.blocks] == [12, 12]
    linear = LinearProbe(torch.zeros(FULL_WIDTH), torch.ones(FULL_WIDTH), AUDIOSET)
    assert num_parameters(linear) == (FULL_WIDTH + 1) * AUDIOSET


@pytest.mark.parametrize(("width", "heads"), [(48, 12), (128, 8), (22, 11), (13, 1)])
def test_heads_divide_the_width(width, heads):
    assert heads_for(width) == heads
    assert (heads_for(1536), heads_for(768)) == (12, 12)
    assert AttentionProbe(width, 3)(torch.zeros(2, 4, width)).shape == (2, 3)


def test_every_parameter_of_both_layers_gets_gradients_and_moves():
    """The ancestors' probe kept both layers at their random start: names that did not match."""
    made, told = one_label((16, 3, 12)), settings()
    rows = np.arange(16)
    probe = fit(made, rows, 1e-2, 0, told, CPU)
    start = fitting._start(made, rows, 0, told)
    before = dict(start.named_parameters())
    assert set(before) == NAMES
    for name, value in probe.named_parameters():
        assert value.requires_grad, name
        assert value.grad.abs().max() > 0, name
        assert not torch.equal(value, before[name]), name


def test_a_layer_that_is_left_out_of_training_is_noticed(monkeypatch):
    def frozen(width, num_classes):
        probe = AttentionProbe(width, num_classes)
        probe.blocks[1].requires_grad_(False)
        return probe

    monkeypatch.setattr(fitting, "AttentionProbe", frozen)
    with pytest.raises(RuntimeError, match=r"not trained: blocks\.1\.norm1\.weight"):
        fit(one_label((16, 3, 12)), np.arange(16), 1e-2, 0, settings(), CPU)


def test_the_linear_probe_is_linear_after_training():
    probe = fit(one_label((16, 6)), np.arange(16), 1e-1, 0, settings(kind="linear"), CPU)
    first, second = torch.randn(2, 5, 6)
    mixed = probe(0.3 * first + 0.7 * second)
    torch.testing.assert_close(mixed, 0.3 * probe(first) + 0.7 * probe(second))
    assert {name for name, _ in probe.named_parameters()} == {"head.weight", "head.bias"}


def test_the_linear_probe_standardises_by_the_clips_it_is_trained_on():
    made = one_label((16, 6))
    made.inputs.values[:, 2] = 4.0  # never changes
    made.inputs.values[8:] += 100.0  # not shown
    probe = fit(made, np.arange(8), 1e-1, 0, settings(kind="linear"), CPU)
    shown = made.inputs.values[:8]
    np.testing.assert_allclose(probe.mean, shown.mean(axis=0), rtol=1e-5, atol=1e-6)
    scale = shown.std(axis=0)
    scale[2] = 1.0
    np.testing.assert_allclose(probe.deviation, scale, rtol=1e-5)


def test_a_feature_on_a_large_scale_does_not_drown_the_others():
    probe = LinearProbe(torch.tensor([1000.0, 0.0]), torch.tensor([500.0, 1.0]), 2)
    torch.nn.init.ones_(probe.head.weight)
    assert probe(torch.tensor([[1500.0, 2.0]])).tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("kind", ["attention", "linear"])
def test_equal_seeds_give_equal_probes_whatever_else_drew_numbers(kind):
    made = one_label((20, 3, 12) if kind == "attention" else (20, 12))
    rows, told = np.arange(20), settings(kind=kind)

    def logits(seed):
        torch.rand(3)
        return predict(fit(made, rows, 1e-2, seed, told, CPU), made.inputs, rows, CPU)

    assert np.array_equal(logits(0), logits(0))
    assert not np.array_equal(logits(0), logits(1))


def test_training_a_probe_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    fit(one_label((16, 3, 12)), np.arange(16), 1e-2, 0, settings(), CPU)
    assert torch.equal(torch.rand(4), expected)


def test_the_rate_rises_then_falls_to_nothing():
    share = fitting._cosine(100)
    shares = [share(step) for step in range(101)]
    assert shares[0] == pytest.approx(1 / 5)
    assert max(shares) == shares[4] == 1.0
    assert shares[5:] == sorted(shares[5:], reverse=True)
    assert shares[100] == pytest.approx(0)


def test_a_small_set_is_passed_through_until_there_are_enough_steps():
    assert fitting.steps_of(1000, settings(epochs=2, batch=64)) == 32
    assert fitting.steps_of(10, settings(epochs=2, min_steps=50)) == 50
    batches = list(fitting._batches(np.arange(10), 4, 7, seed=0))
    assert [len(batch) for batch in batches] == [4, 4, 2, 4, 4, 2, 4]
    assert sorted(np.concatenate(batches[:3])) == sorted(np.concatenate(batches[3:6]))
