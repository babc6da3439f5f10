"""`tgdp-sweep run SWEEP.py` with the stand-in for training, as a process to signal.

Usage: sweep_command.py SWEEP.py DATA RESULTS CLUSTER JOBS [--retry-failed] [--probe LIST]
"""

import sys
import types
from pathlib import Path

from tgdp.cli.sweep_run import Wanted, real
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.probes import ProbeWords
from tgdp.sweep.resolve import Words
from tgdp.sweep.stages import Stage, Stages

STAGES = Stages(
    Stage("fake_training:train", "trained"),
    Stage("fake_training:evaluate"),
    Stage("fake_training:open_prober", is_probing=True),
)


def main() -> int:
    sweep, data, results, cluster, jobs, *rest = sys.argv[1:]
    report = types.ModuleType("tgdp.report")
    report.finish = lambda *_: "TABLE"  # type: ignore[attr-defined]
    sys.modules["tgdp.report"] = report
    words = Words(data=Path(data), assignments=("training.steps=10",))
    retry = frozenset({"failed"} if "--retry-failed" in rest else ())
    kinds = rest[rest.index("--probe") + 1].split(",") if "--probe" in rest else ()
    probes = ProbeWords(tuple(kinds), "av,a")
    wanted = Wanted(words, Path(results), retry, cluster, int(jobs), probes)  # type: ignore[arg-type]
    return real(load_sweep(Path(sweep)), wanted, STAGES)


if __name__ == "__main__":
    sys.exit(main())
