"""On what a run was computed: versions, host, hardware."""

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tgdp.sweep.machine import count_cores, list_gpus

PACKAGES = ("tgdp", "torch", "timm", "numpy", "av", "soundfile", "pydantic", "submitit")
"""Packages whose version can move a number or stop a run."""

GPU_FACTS = Path("/proc/driver/nvidia/gpus")

SNAPSHOT_FILE = ".snapshot.json"
"""Beside the code, where that is the snapshot of a submission to a cluster: its commit."""


def describe() -> dict[str, Any]:
    """Return versions and hardware as plain JSON types, without loading any of the packages."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "host": os.uname().nodename,
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": count_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "nodes": _count_nodes(),
        "gpus": list(list_gpus()),
        "gpu_models": _gpu_models(),
        "command": sys.argv,
    }


def _count_nodes() -> int:
    """Return on how many nodes the ranks of this run are, as torchrun or `srun` say it."""
    world, local = os.environ.get("WORLD_SIZE", ""), os.environ.get("LOCAL_WORLD_SIZE", "")
    if world.isdigit() and local.isdigit() and int(local):
        return max(1, int(world) // int(local))
    nodes = os.environ.get("SLURM_STEP_NUM_NODES", "")
    return max(1, int(nodes)) if nodes.isdigit() else 1


def _commit() -> str:
    """Return the commit of the checkout this code lies in, `+` behind it where it was changed."""
    with suppress(OSError, ValueError):
        facts = json.loads((Path(__file__).parents[2] / SNAPSHOT_FILE).read_text(encoding="utf-8"))
        return facts["commit"][:12] + "+" * facts["dirty"]
    git = ("git", "-C", str(Path(__file__).parent))
    try:
        ran = [
            subprocess.run((*git, *words), capture_output=True, text=True, timeout=10, check=True)
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
        ]
    except (OSError, subprocess.SubprocessError):
        return ""  # installed from a wheel, or no git here
    return ran[0].stdout.strip() + ("+" if ran[1].stdout.strip() else "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str:
    return _fact(Path("/proc/cpuinfo"), "model name") or platform.processor()


def _gpu_models() -> list[str]:
    return [_fact(path, "Model") for path in sorted(GPU_FACTS.glob("*/information"))]


def _fact(path: Path, name: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(name))
    return next(found, "")
