"""`tgdp-eval` by torchrun: two ranks embed the clips, and find what one process finds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from many_ranks import loopback

from tests.small_model import SMALL_MODEL
from tgdp import presets
from tgdp.config import dump, override
from tgdp.training.learner import build_learner
from tgdp.training.run_directory import RunDirectory
from tgdp.training.saving import save

pytestmark = pytest.mark.slow

SMALL = {**SMALL_MODEL, "evaluation.split": "test", "data.name": "test", "runtime.threads": 1}
CLIPS = 21
"""Of each of two splits; three chunks, the last one not full."""
# Clips of one split have two labels, so that no probe is trained; what it would read is embedded.
WORDS = ("--sanity", "--train-split", "train", "--test-split", "test", "--task", "singlelabel")
MODULE = ("-m", "tgdp.cli.evaluate")
HELPER = str(Path(__file__).with_name("evaluate_process.py"))


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory) -> Path:
    config = override(presets.tiny(), {**SMALL, "data.folder": str(prepared([1.6] * 2 * CLIPS))})
    made = RunDirectory(tmp_path_factory.mktemp("runs") / "0")
    made.create(dump(config))
    learner = build_learner(config, torch.device("cpu"))
    with torch.no_grad():
        for weight in learner.student.parameters():
            weight.mul_(1.5)  # Else it would be the untrained encoder, whose features are kept too.
    save(made, config, learner)
    return made.path


def evaluate(program: tuple[str, ...], *words: object, ranks: int = 1) -> Any:
    """Start the command as a user would, on so many ranks."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    roots = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    return subprocess.run(
        [sys.executable, *(launcher if ranks > 1 else []), *program, *map(str, words)],
        env=os.environ | loopback() | {"PYTHONPATH": os.pathsep.join(roots)},
        capture_output=True,
        text=True,
        check=False,
    )


def entries(results: Path) -> dict[str, bytes]:
    files = (results / "features").glob("*/*")
    return {str(file.relative_to(results)): file.read_bytes() for file in files}


def test_two_ranks_store_the_same_bytes_and_find_the_same(run, tmp_path):
    found: list[dict[str, Any]] = []
    for ranks in (1, 2):
        results = tmp_path / str(ranks)
        out = results / "found.json"
        words = ("all", run, *WORDS, "--out", out, "--results", results)
        results.mkdir()
        done = evaluate((HELPER, str(results)), *words, ranks=ranks)
        assert done.returncode == 0, done.stdout + done.stderr
        found.append(json.loads(out.read_text()))
        # One rank prints.
        assert done.stdout.count("audio → video") == 1
        assert done.stdout.count("Not measured: ") == 1
    alone, together = found
    assert together == alone
    assert set(alone["results"][0]["sanity"]) == {"untrained", "mean embedding"}
    assert len({Path(name).parent for name in entries(tmp_path / "1")}) == 4
    assert entries(tmp_path / "2") == entries(tmp_path / "1")
    # Each rank reads its chunks, of four times the clips of a split, and no clip is read twice.
    shares = [json.loads((tmp_path / "2" / f"read-{rank}.json").read_text()) for rank in (0, 1)]
    assert [len(share) for share in shares] == [4 * (8 + 5), 4 * 8]


def test_what_the_user_must_mend_ends_both_ranks(run, tmp_path):
    words = ("retrieval", run, "--split", "nowhere", "--results", tmp_path)
    done = evaluate(MODULE, *words, ranks=2)
    assert done.returncode != 0
    assert "unknown split 'nowhere'" in done.stderr
    assert "tgdp/cli" not in done.stderr
