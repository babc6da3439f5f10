"""`tgdp-sweep run SWEEP.py` with the stand-in for training, as a process to signal.

Usage: sweep_command.py SWEEP.py DATA RESULTS CLUSTER JOBS [--retry-failed] [--probe LIST]

CLUSTER is `debug`, `local`, or the name of a profile, for `slurm`.
"""

import sys
import types
from pathlib import Path

from fake_training import STAGES

from tgdp.cli.sweep_run import Wanted, real
from tgdp.cli.sweep_slurm import on_slurm
from tgdp.cli.sweep_start import Where
from tgdp.sweep.backends import BACKENDS
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.probes import ProbeWords
from tgdp.sweep.resolve import Words


def main() -> int:
    sweep, data, results, cluster, jobs, *rest = sys.argv[1:]
    report = types.ModuleType("tgdp.report")
    report.finish = lambda *_: "TABLE"  # type: ignore[attr-defined]
    sys.modules["tgdp.report"] = report
    words = Words(data=Path(data), assignments=("training.steps=10",))
    retry = frozenset({"failed"} if "--retry-failed" in rest else ())
    kinds = rest[rest.index("--probe") + 1].split(",") if "--probe" in rest else ()
    probes = ProbeWords(tuple(kinds), "av,a")
    here = cluster if cluster in BACKENDS else "local"
    wanted = Wanted(words, Path(results), retry, here, int(jobs), probes)  # type: ignore[arg-type]
    if cluster in BACKENDS:
        return real(load_sweep(Path(sweep)), wanted, STAGES)
    return on_slurm(load_sweep(Path(sweep)), wanted, Where("slurm", profile=cluster), STAGES)


if __name__ == "__main__":
    sys.exit(main())
