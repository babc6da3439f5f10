"""Two ranks and their gathered negatives: the same loss and gradients as one joined batch.

A rank's loss is the mean over its own pairs, and data-parallel training takes the mean of the
ranks' gradients. With equal batches that mean is the gradient of the joined batch as it stands; the
vectors of a rank by themselves hold it times the number of ranks. With unequal batches each rank's
loss must first be multiplied by its pairs x ranks / all pairs.
"""

import itertools
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from tgdp.losses.contrastive import contrastive_loss

RANKS = 2
WIDTH = 6
TEMPERATURE = 0.2
SIZES = ((4, 4), (5, 2), (1, 3))
CASES = list(itertools.product(SIZES, (True, False), (True, False)))
"""Pairs of each rank, two-way or not, gathered or not."""

Found = dict[str, Any]


def _vectors(num: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(num)
    audio, image = (torch.randn(num, WIDTH, generator=generator) for _ in range(2))
    return audio, image


def _mine(rank: int, sizes: tuple[int, ...]) -> slice:
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


def _measure(vectors: tuple[torch.Tensor, ...], factor: float, **options: bool) -> Found:
    audio, image = (part.clone().requires_grad_() for part in vectors)
    temperature = torch.tensor(TEMPERATURE, requires_grad=True)
    loss, accuracy = contrastive_loss(audio, image, temperature, **options)
    (loss * factor).backward()
    return {
        "loss": loss.detach(),
        "accuracy": accuracy,
        "audio": audio.grad,
        "image": image.grad,
        "temperature": temperature.grad,
    }


def _rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=RANKS)
    found = []
    for sizes, two_way, gathered in CASES:
        mine = tuple(part[_mine(rank, sizes)] for part in _vectors(sum(sizes)))
        factor = sizes[rank] * RANKS / sum(sizes)
        found.append(_measure(mine, factor, two_way=two_way, gathered=gathered))
    torch.save(found, Path(folder) / f"rank{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[Found]]:
    """Return what each rank found in each case; two processes that meet through a file."""
    folder = tmp_path_factory.mktemp("ranks")
    loopback = "lo" if "lo" in {name for _, name in socket.if_nameindex()} else "lo0"
    with pytest.MonkeyPatch.context() as patch:
        # This machine's own name may lead nowhere.
        patch.setenv("GLOO_SOCKET_IFNAME", loopback)
        mp.spawn(_rank, (str(folder),), nprocs=RANKS)
    found = [torch.load(folder / f"rank{rank}.pt") for rank in range(RANKS)]
    return [[of_rank[case] for of_rank in found] for case in range(len(CASES))]


@pytest.mark.parametrize("two_way", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_gathered_negatives_on_two_ranks_are_the_joined_batch(ranks, sizes, two_way):
    found = ranks[CASES.index((sizes, two_way, True))]
    joined = _measure(_vectors(sum(sizes)), 1.0, two_way=two_way)
    for name in ("loss", "accuracy"):
        mean = sum(size * one[name] for size, one in zip(sizes, found, strict=True)) / sum(sizes)
        torch.testing.assert_close(mean, joined[name], rtol=0, atol=1e-5)
    for name in ("audio", "image"):
        gradient = torch.cat([one[name] for one in found]) / RANKS
        torch.testing.assert_close(gradient, joined[name], rtol=0, atol=1e-5)
    # Of a parameter that both ranks hold.
    shared = sum(one["temperature"] for one in found) / RANKS
    torch.testing.assert_close(shared, joined["temperature"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("two_way", [True, False])
@pytest.mark.parametrize("sizes", SIZES)
def test_local_negatives_give_each_rank_its_own_loss(ranks, sizes, two_way):
    for rank, one in enumerate(ranks[CASES.index((sizes, two_way, False))]):
        mine = tuple(part[_mine(rank, sizes)] for part in _vectors(sum(sizes)))
        alone = _measure(mine, sizes[rank] * RANKS / sum(sizes), two_way=two_way)
        for name, value in alone.items():
            torch.testing.assert_close(one[name], value, rtol=0, atol=1e-6)
