"""`tgdp-eval`: measure a checkpoint again; read and write the released ones."""

from pathlib import Path
from typing import Annotated

import typer

from tgdp.cli.console import run

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Measure a trained model, and exchange it with the released code.

    Example: [bold]tgdp-eval retrieval results/runs/4f0c1b --data data/vgg[/bold]""",
)


@app.command()
def retrieval(
    checkpoint: Annotated[
        Path, typer.Argument(help="A run directory, a checkpoint file of one, or a released file.")
    ],
    data: Annotated[
        Path | None, typer.Option(help="Prepared data folder.", show_default="the run's own")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to retrieve among.", show_default="the run's own")
    ] = None,
    heads: Annotated[
        int | None,
        typer.Option(min=1, help="Attention heads of a released file.", show_default="width / 64"),
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
    from tgdp.evaluation.released import evaluate_any

    result = evaluate_any(checkpoint, data, split, heads)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
    else:
        Console().print(result_table(result))


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(help="A TG-DP, CAV-MAE Sync or CAV-MAE state dict.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every name in it.")] = False,
) -> None:
    """Print what a released file is: sizes; what is loaded, missing and unexpected, and why.

    Exit code 2 if anything in it is not explained.

    For example

      [bold]tgdp-eval inspect best_audio_model.pth[/bold]
    """
    from tgdp.cli import checkpoints

    checkpoints.inspect(file, as_json=as_json)


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A run directory, or a checkpoint file.")],
    out: Annotated[Path, typer.Argument(help="File to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
) -> None:
    """Write a checkpoint in the naming of the released code, and print what its script needs.

    For example

      [bold]tgdp-eval export results/runs/4f0c1b mine.pth[/bold]
    """
    from tgdp.cli import checkpoints

    checkpoints.export(checkpoint, out, force=force)


def main() -> None:
    """Run `tgdp-eval`."""
    run(app)


if __name__ == "__main__":
    main()
