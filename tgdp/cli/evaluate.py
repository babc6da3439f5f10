"""`tgdp-eval`: measure a checkpoint again, on its own data or on another folder."""

from pathlib import Path
from typing import Annotated

import typer

from tgdp.cli.console import run

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Measure a trained model.

    Example: [bold]tgdp-eval retrieval results/runs/4f0c1b --data data/vgg[/bold]""",
)


@app.callback()
def group() -> None:
    """Keep `retrieval` a command of its own, however few commands there are."""


@app.command()
def retrieval(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run directory, or a checkpoint file of one.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Prepared data folder.", show_default="the run's own")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to retrieve among.", show_default="the run's own")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print R@1/5/10 and the median rank, both directions, with the number of clips.

    For example

      [bold]tgdp-eval retrieval results/runs/4f0c1b --data data/vgg --split test[/bold]
    """
    import json

    from rich.console import Console

    from tgdp.cli.train_run import result_table
    from tgdp.evaluation.run import evaluate_checkpoint

    result = evaluate_checkpoint(checkpoint, data, split)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        Console().print(result_table(result))


def main() -> None:
    """Run `tgdp-eval`."""
    run(app)


if __name__ == "__main__":
    main()
