"""Several ranks are one: losses, gradients, weights and teacher as on the joined batch."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from rank_process import CASES, STEPS, learn, together

from tgdp.training.ranks import Ranks

WORLDS = (2, 3)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """Return what each rank of 2 and of 3 found, and what one process alone did."""
    found: dict[int, list[dict[str, Any]]] = {1: [{case: learn(case, Ranks()) for case in CASES}]}
    loopback = "lo" if "lo" in {name for _, name in socket.if_nameindex()} else "lo0"
    with pytest.MonkeyPatch.context() as patch:
        # This machine's own name may lead nowhere.
        patch.setenv("GLOO_SOCKET_IFNAME", loopback)
        for world in WORLDS:
            folder = tmp_path_factory.mktemp(f"ranks{world}")
            found[world] = together(world, free_port(), folder)
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("world", WORLDS)
def test_every_rank_ends_where_the_joined_batch_does(found, world, case, record_property):
    (alone,) = found[1]
    assert len(alone[case]["steps"]) == STEPS
    largest = dict.fromkeys(("steps", "gradients", "weights", "teacher"), 0.0)
    for of_rank in found[world]:
        for part in largest:
            ours, theirs = of_rank[case][part], alone[case][part]
            if part in ("weights", "teacher"):
                ours, theirs = known(ours), known(theirs)
            apart = difference(ours, theirs)
            largest[part] = max(largest[part], apart)
    for part, value in largest.items():
        record_property(part, value)
    assert max(largest.values()) <= 1e-5, largest


@pytest.mark.parametrize("world", WORLDS)
def test_nothing_of_the_group_works_on_when_a_rank_has_left_it(found, world):
    # What does may want Python when there is none any more, and abort the process.
    for of_rank in found[world]:
        assert of_rank["threads"]
        assert not [name for name in of_rank["threads"] if "gloo" in name]


def known(values: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out of the weights what no loss depends on: the biases of the keys.

    They shift all scores of a query alike, so that their gradient is zero but for rounding, and
    Adam, which divides by its size, makes of that a step of full length in a direction of chance.
    """
    return {name: _without_keys(name, value) for name, value in values.items()}


def _without_keys(name: str, value: torch.Tensor) -> torch.Tensor:
    if not name.endswith("qkv.bias"):
        return value
    query, _, rest = value.chunk(3)
    return torch.cat([query, rest])


def difference(ours: Any, theirs: Any) -> float:
    """The largest difference of anything below, of numbers above 1 the relative one."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        return max((difference(ours[key], theirs[key]) for key in theirs), default=0.0)
    if isinstance(theirs, list):
        return max(difference(a, b) for a, b in zip(ours, theirs, strict=True))
    if theirs is None:
        assert ours is None
        return 0.0
    if not theirs.numel():
        return 0.0
    return ((ours - theirs).abs() / theirs.abs().clamp_min(1)).max().item()
