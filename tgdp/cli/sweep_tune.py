"""The words of `tgdp-sweep tune`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tgdp.cli.sweep_options import (
    RESULTS,
    Assignments,
    ClusterName,
    Data,
    DryRun,
    Jobs,
    Preset,
    ProfileName,
    Results,
)


def tune(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Python file that sets STUDY = Study(...).", show_default="sweeps/tune.py"
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="How many the study shall have, those of before included.",
            show_default="20, or the whole grid",
        ),
    ] = None,
    sampler: Annotated[
        Literal["tpe", "grid"], typer.Option(help="What proposes the points.")
    ] = "tpe",
    prune: Annotated[
        bool, typer.Option("--prune/--no-prune", help="End trials that fall behind on the way.")
    ] = False,
    preset: Preset = "tiny",
    data: Data = None,
    assignments: Assignments = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every run, and of the sampler.")] = 0,
    cluster: ClusterName = "local",
    profile: ProfileName = None,
    jobs: Jobs = None,
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="postgresql://... or sqlite:///FILE.",
            show_default="a journal in RESULTS/studies",
        ),
    ] = None,
    dry_run: DryRun = False,
    report: Annotated[
        bool, typer.Option("--report", help="Write tables and figures; run nothing.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The trials as JSON; run nothing.")
    ] = False,
    results: Results = RESULTS,
) -> None:
    """Search for good settings: each trial is a run like any other.

    Example: [bold]tgdp-sweep tune --trials 20 --prune[/bold]
    """
    from tgdp.cli.sweep_tune_run import Asked, dry, real, show_json, write_report
    from tgdp.sweep.resolve import Words

    words = Words(preset, data, tuple(assignments or ()))
    asked = Asked(
        file, words, results, seed, storage, trials, sampler, prune, cluster, jobs, profile
    )
    if as_json:
        show_json(asked)
    elif dry_run:
        dry(asked)
    elif report:
        write_report(asked)
    else:
        raise typer.Exit(real(asked))
