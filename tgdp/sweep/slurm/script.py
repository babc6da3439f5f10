"""What submitit is told about a stage's jobs, so that `sbatch` and the job get what they need."""

import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tgdp.sweep.backends import KEEP_MEMORY
from tgdp.sweep.machine import THREAD_VARIABLES
from tgdp.sweep.slurm.jobs import StageName
from tgdp.sweep.slurm.profile import Profile

ALL_AT_ONCE = 1_000_000
"""Jobs of an array at once where the profile says nothing: the cluster has limits of its own."""


class Asked(NamedTuple):
    """What a group of jobs is submitted with, beside the profile.

    Attributes:
        sweep: Name of the sweep.
        stage: What they do.
        mark: Word that no other submission has, by which the queue can be asked for them.
        dependency: On which jobs they wait, in SLURM's words; empty for none.
        at_once: Most of them that run together; None for no limit.
    """

    sweep: str
    stage: StageName
    mark: str
    dependency: str = ""
    at_once: int | None = None


def parameters(profile: Profile, asked: Asked, snapshot: Path | None) -> dict[str, Any]:
    """Return the parameters of submitit's SLURM executor.

    Args:
        profile: Of the whole sweep; what the stage has otherwise is looked up here.
        asked: What the jobs are, and what they wait for.
        snapshot: Code that they run; None for what is installed.

    Raises:
        ValueError: The stage's resources contradict the profile.
    """
    own = profile.of(asked.stage)
    gpus = f"{own.gpu_type}:{own.gpus}" if own.gpu_type else own.gpus
    chosen: dict[str, Any] = {
        "job_name": f"tgdp-{asked.sweep}-{asked.stage}",
        "comment": asked.mark,
        # Integers: submitit computes with them in the job. A wckey is refused where there are none.
        "time": own.walltime,
        "wckey": None,
        "partition": own.partition,
        "account": own.account,
        "qos": own.qos,
        "constraint": own.constraint,
        "nodes": own.nodes,
        "ntasks_per_node": own.tasks,
        "cpus_per_task": own.cpus,
        "gpus_per_node": gpus or None,
        "mem": None if own.memory is None else f"{own.memory}M",
        "signal_delay_s": own.signal_ahead,
        "dependency": asked.dependency or None,
        "array_parallelism": asked.at_once or ALL_AT_ONCE,
        "setup": setup_lines(own, snapshot),
        # One dead rank ends the job, instead of leaving the others to wait for it.
        "srun_args": ["--kill-on-bad-exit=1"],
        "additional_parameters": _options(own, bool(asked.dependency), snapshot),
    }
    return {name: value for name, value in chosen.items() if value is not None or name == "wckey"}


def setup_lines(profile: Profile, snapshot: Path | None) -> list[str]:
    """Return the lines of shell that run before each start of a job."""
    own = {**dict.fromkeys(THREAD_VARIABLES, str(profile.cpus)), **KEEP_MEMORY}
    own |= profile.environment
    lines = [f"export {name}={shlex.quote(value)}" for name, value in own.items()]
    # Between 22.05 and 23.11 `srun` does not take the cores of a task over from `sbatch`.
    lines.append("export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}")
    if snapshot is not None:
        lines.append(f"export PYTHONPATH={shlex.quote(str(snapshot))}${{PYTHONPATH:+:$PYTHONPATH}}")
    return [*lines, *profile.setup]


def python() -> str:
    """Return what starts python: deaf to the signal that would kill it before a handler stands.

    By the shell, for the `env` of coreutils before 8.31 has no such option.
    """
    return f'sh -c \'trap "" USR2; exec "$@"\' sh {shlex.quote(sys.executable)}'


def _options(profile: Profile, waits: bool, snapshot: Path | None) -> dict[str, Any]:
    flags = {"true": True, "": True}
    options: dict[str, Any] = {
        name.replace("_", "-"): flags.get(text, text) for name, text in profile.sbatch.items()
    }
    # Said either way: what the cluster does by itself differs from site to site.
    options["requeue" if profile.requeue == "auto" else "no-requeue"] = True
    if waits:
        options["kill-on-invalid-dep"] = "yes"
    if snapshot is not None:
        # python looks first where it is started: that must not be the checkout.
        options["chdir"] = str(snapshot)
    return options
