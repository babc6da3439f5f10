"""`tgdp-sweep tune STUDY.py` with the stand-in for training, as a process to signal.

Usage: tune_command.py STUDY.py DATA RESULTS
    [--prune] [--grid] [--trials N] [--jobs N] [--debug | --slurm PROFILE]
"""

import sys
import types
from functools import partial
from pathlib import Path
from typing import Literal

from tuned_training import STAGES

from tgdp.cli import sweep_tune_slurm
from tgdp.cli.console import run
from tgdp.cli.sweep_tune_run import Asked, real
from tgdp.sweep.resolve import Words
from tgdp.sweep.tune.cluster import ClusterWorkers


def main() -> None:
    file, data, results, *rest = sys.argv[1:]
    report = types.ModuleType("tgdp.report.study")
    report.finish_study = lambda *_: types.SimpleNamespace(  # type: ignore[attr-defined]
        files=("FIGURE",), notes=()
    )
    sys.modules["tgdp.report.study"] = report
    words = Words(data=Path(data), assignments=("training.steps=32", "training.batch_size=16"))
    asked = Asked(
        file=Path(file),
        words=words,
        results=Path(results),
        trials=_number(rest, "--trials"),
        sampler="grid" if "--grid" in rest else "tpe",
        prune="--prune" in rest,
        cluster=_cluster(rest),
        jobs=_number(rest, "--jobs"),
        profile=_word(rest, "--slurm"),
    )
    run(lambda: sys.exit(real(asked, STAGES)))  # type: ignore[arg-type]


def _cluster(words: list[str]) -> Literal["debug", "local", "slurm"]:
    if "--slurm" in words:
        # Nobody shares the scheduler of a test.
        sweep_tune_slurm.ClusterWorkers = partial(  # type: ignore[assignment,misc]
            ClusterWorkers, look_every_s=0.5
        )
        return "slurm"
    return "debug" if "--debug" in words else "local"


def _number(words: list[str], name: str) -> int | None:
    word = _word(words, name)
    return None if word is None else int(word)


def _word(words: list[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None


if __name__ == "__main__":
    main()
