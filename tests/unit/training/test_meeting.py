"""Who a process is stands in its environment, whoever started it."""

import pytest
import torch

from tgdp.errors import UserError
from tgdp.training.ranks import Meeting, Ranks, current_ranks, find_meeting, summed, told

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_PROCID": "3",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7",
    "SLURM_JOB_ID": "123456",
}
SUBMITIT = {
    "SUBMITIT_LOCAL_NTASKS": "2",
    "SUBMITIT_LOCAL_GLOBALID": "1",
    "SUBMITIT_LOCAL_LOCALID": "1",
    "SUBMITIT_LOCAL_JOB_ID": "4711",
}


@pytest.mark.parametrize(
    ("given", "meeting"),
    [
        (TORCHRUN, Meeting(Ranks(5, 8, 1), "node0", 29500)),
        (SLURM, Meeting(Ranks(3, 4, 1), "10.0.0.7", 23456)),
        (SUBMITIT, Meeting(Ranks(1, 2, 1), "127.0.0.1", 24711)),
        ({}, None),
        ({"WORLD_SIZE": "1", "RANK": "0"}, None),
        # A shell on an allocation of four tasks is one process, and so is a batch script.
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "9"}, None),
    ],
)
def test_a_process_knows_who_it_is(given, meeting):
    assert find_meeting(given) == meeting


@pytest.mark.parametrize("given", [TORCHRUN, SLURM, SUBMITIT])
def test_half_an_environment_is_refused_with_what_is_missing(given):
    for missing in given:
        if "WORLD" in missing or "NTASKS" in missing or "NUM_TASKS" in missing:
            continue
        with pytest.raises(UserError, match=f"{missing} is not set"):
            find_meeting({key: value for key, value in given.items() if key != missing})


def test_alone_nothing_is_exchanged():
    values = torch.tensor([1.0, 2.0])
    assert summed(values) is values
    assert told("word") == "word"
    assert current_ranks() == Ranks(0, 1, 0)
    assert Ranks().is_first
    assert not Ranks(1, 2).is_first
