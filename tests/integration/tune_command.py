"""`tgdp-sweep tune STUDY.py` with the stand-in for training, as a process to signal.

Usage: tune_command.py STUDY.py DATA RESULTS [--prune] [--grid] [--trials N] [--jobs N] [--debug]
"""

import sys
import types
from pathlib import Path

from tuned_training import STAGES

from tgdp.cli.console import run
from tgdp.cli.sweep_tune_run import Asked, real
from tgdp.sweep.resolve import Words


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
        cluster="debug" if "--debug" in rest else "local",
        jobs=_number(rest, "--jobs"),
    )
    run(lambda: sys.exit(real(asked, STAGES)))  # type: ignore[arg-type]


def _number(words: list[str], name: str) -> int | None:
    return int(words[words.index(name) + 1]) if name in words else None


if __name__ == "__main__":
    main()
