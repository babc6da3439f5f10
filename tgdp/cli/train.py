"""`tgdp-train`: one run, outside any sweep."""

from pathlib import Path
from typing import Annotated

import typer

from tgdp.cli.console import run

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

RESULTS = Path("results")


@app.command()
def train(
    preset: Annotated[str, typer.Option(help="tiny, small or paper.")] = "tiny",
    data: Annotated[
        Path | None,
        typer.Option(help="Prepared data folder.", show_default="embedded benchmark"),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    results: Annotated[
        Path, typer.Option(envvar="TGDP_RESULTS", help="Where all is kept.")
    ] = RESULTS,
    profile: Annotated[
        bool,
        typer.Option(help="Trace a few steps and print the ten costliest operations."),
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="Print the resolved run and stop.")
    ] = False,
) -> None:
    """Train one model, evaluate its retrieval and print the result.

    Stopped or killed, the same command goes on from its last checkpoint; finished, it prints the
    result again.

    For example

      [bold]tgdp-train --data data/mine --set training.steps=1000 --seed 3[/bold]
    """
    from tgdp.cli import train_run
    from tgdp.sweep.resolve import Words

    traced = ["runtime.profile=true"] if profile else []
    words = Words(preset, data, (*(assignments or ()), *traced), f"{seed},")
    if show_config:
        train_run.show(words, results)
    else:
        raise typer.Exit(train_run.train(words, results))


def main() -> None:
    """Run `tgdp-train`."""
    run(app)


if __name__ == "__main__":
    main()
