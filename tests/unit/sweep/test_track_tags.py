"""What is written beside the numbers of a run."""

import json
from dataclasses import replace

import pytest

from tests.fake_runs import cells, write_run
from tgdp.data.files import write_whole
from tgdp.sweep.environment import describe as describe_machine
from tgdp.sweep.track_tags import describe

NODES = {
    "torchrun": ({"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}, 2),
    "srun": ({"SLURM_STEP_NUM_NODES": "3"}, 3),
    "alone": ({}, 1),
    "half a torchrun": ({"WORLD_SIZE": "16"}, 1),
}


def test_what_a_run_cost_and_what_of_it_was_lost_is_kept(tmp_path) -> None:
    cell = cells()[0]
    run = write_run(tmp_path, cell, "interrupted")
    status = replace(run.status(), seconds=7200.0, saved_seconds=5400.0, lost_seconds=1800.0)
    run.set_status(replace(status, attempt=3))
    found = json.loads(run.environment_file.read_text())
    write_whole(run.environment_file, json.dumps({**found, "gpus": ["0", "1"], "nodes": 2}))
    tags = describe(run, cell.config)
    assert (tags["tgdp.attempt"], tags["tgdp.lost_seconds"]) == ("3", "3600.0")
    assert (tags["tgdp.gpu_hours"], tags["tgdp.lost_gpu_hours"]) == ("8.0", "4.0")


@pytest.mark.parametrize("where", NODES)
def test_nodes_are_counted_as_the_launcher_says(where: str, monkeypatch) -> None:
    variables, nodes = NODES[where]
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "SLURM_STEP_NUM_NODES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert describe_machine()["nodes"] == nodes
