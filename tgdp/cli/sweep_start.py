"""The start of a sweep: on this machine or on a cluster, for real or only to look."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import typer

from tgdp.errors import UserError
from tgdp.sweep.discover import load_sweep

if TYPE_CHECKING:
    # Only for types: pydantic and rich take longer to load than `--help` may take to answer.
    from tgdp.sweep.resolve import Words
    from tgdp.training.run_directory import State


class Where(NamedTuple):
    """Where the jobs of a sweep run, and whether they do.

    Attributes:
        cluster: What runs them.
        jobs: How many at once; None for what there is.
        profile: Of a cluster.
        dry_run: Show the plan; write nothing.
        show_script: Of a cluster: print what `sbatch` would get.
        wait: Of a cluster: return when all is over.
    """

    cluster: Literal["debug", "local", "slurm"]
    jobs: int | None = None
    profile: str | None = None
    dry_run: bool = False
    show_script: bool = False
    wait: bool = False


def start(
    name_or_path: str | Path,
    words: "Words",
    results: Path,
    where: Where,
    again: tuple[bool, bool],
    probes: tuple[list[str] | None, str],
) -> None:
    """Run a sweep, submit it, or show what would be done.

    Args:
        name_or_path: The sweep.
        words: Preset, data, `--set` and seeds.
        results: The results folder.
        where: Where its jobs run.
        again: Whether runs are tried again that failed, and that diverged.
        probes: Words of `--probe` and `--modality`.

    Raises:
        UserError: Options contradict each other, or anything named is not valid.
        typer.Exit: With the exit code of the command.
    """
    from tgdp.cli.sweep_run import Wanted, dry, real
    from tgdp.sweep.probes import ALL_INPUTS, ProbeWords

    for name in ("profile", "show_script", "wait"):
        if getattr(where, name) and where.cluster != "slurm":
            raise UserError(f"--{name.replace('_', '-')}: is only for --cluster slurm")
    if probes[1] != ALL_INPUTS and not probes[0]:
        raise UserError("--modality: is only for --probe")
    sweep, kinds = load_sweep(name_or_path), tuple(probes[0] or ())
    here = "local" if where.cluster == "slurm" else where.cluster
    measured = ProbeWords(kinds, probes[1])
    path = Path(name_or_path)
    file = path if path.suffix == ".py" else None
    wanted = Wanted(words, results, _retry(*again), here, where.jobs, measured, file)
    if where.cluster == "slurm":
        from tgdp.cli.sweep_slurm import on_slurm

        raise typer.Exit(on_slurm(sweep, wanted, where))
    if where.dry_run:
        dry(sweep, wanted)
    else:
        raise typer.Exit(real(sweep, wanted))


def _retry(failed: bool, diverged: bool) -> "frozenset[State]":
    asked: dict[State, bool] = {"failed": failed, "diverged": diverged}
    return frozenset(state for state, wanted in asked.items() if wanted)
