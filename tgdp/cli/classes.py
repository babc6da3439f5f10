"""`tgdp-report classes`: the evaluations of a run, class by class."""

from typing import Annotated

import typer

from tgdp.cli.pictures import RESULTS, Results, Run


def classes(
    run: Run,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Only of this one, as retrieval or probe-linear/v1.",
            metavar="P",
            show_default="all of them",
        ),
    ] = None,
    results: Results = RESULTS,
) -> None:
    """Show which classes a run finds and which it does not: a CSV and a picture an evaluation.

    Evaluations are those that tgdp-eval kept with --record, or a sweep with --probe. The best and
    the worst classes are named in the picture, the CSV has all. The pictures go into the MLflow
    run.

    Example: [bold]tgdp-report classes 4f0c1b --protocol probe-linear[/bold]
    """
    from tgdp.evaluation.find import find_run, results_of
    from tgdp.report import pictures
    from tgdp.report.classes import write

    found = find_run(run, results)
    files = write(found, protocol)
    for file in files:
        typer.echo(f"  {file}")
    kept = pictures.bring(found, results, files[-1])
    if kept.store is None:
        typer.echo(f"Warning: the pictures are not in MLflow. {kept.problem}", err=True)
        typer.echo(f"Next: tgdp-report sync --results {results_of(found, results)}")
        return
    typer.echo(f"MLflow: artifacts pictures/classes-*.png of run {found.name} in {kept.store}")
    typer.echo(f"Next: tgdp-report gallery {found.path}   or: tgdp-report dashboard")
