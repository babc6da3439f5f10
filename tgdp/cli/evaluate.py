"""`tgdp-eval`: measure a checkpoint; read and write the released ones."""

from pathlib import Path
from typing import Annotated, Literal

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


Checkpoint = Annotated[
    Path, typer.Argument(help="A run directory, a checkpoint file of one, or a released file.")
]
Data = Annotated[
    Path | None, typer.Option(help="Prepared data folder.", show_default="the run's own")
]
Heads = Annotated[
    int | None,
    typer.Option(min=1, help="Attention heads of a released file.", show_default="width / 64"),
]
Which = Annotated[
    str, typer.Option(help="Of a run directory: last, best, teacher (of the last) or a step.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option(help="Write the JSON to this file.", metavar="FILE")]
Results = Annotated[
    Path, typer.Option(envvar="TGDP_RESULTS", help="Features are kept in it.", metavar="DIR")
]
RESULTS = Path("results")


@app.command()
def retrieval(
    checkpoint: Checkpoint,
    data: Data = None,
    split: Annotated[
        str | None, typer.Option(help="Split to retrieve among.", show_default="the run's own")
    ] = None,
    which: Which = "last",
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Also an untrained encoder, one vector for all, ...")
    ] = False,
    heads: Heads = None,
    as_json: AsJson = False,
    out: Out = None,
    results: Results = RESULTS,
) -> None:
    """Print R@1/5/10 and the median rank, both directions, with 95 % intervals.

    For example

      [bold]tgdp-eval retrieval results/runs/4f0c1b --data data/vgg --split test[/bold]
    """
    from tgdp.cli import evaluate_run as work
    from tgdp.evaluation.feature_cache import cache_root
    from tgdp.evaluation.subject import open_subject

    subject = open_subject(checkpoint, data, split, heads, which)
    found = work.retrieval(subject, cache_root(results), with_sanity=sanity)
    work.give(found, work.retrieval_table(found), as_json=as_json, out=out)


@app.command()
def probe(
    checkpoint: Checkpoint,
    data: Data = None,
    kind: Annotated[
        Literal["attention", "linear"],
        typer.Option("--probe", help="The paper's two layers and a linear one, or truly linear."),
    ] = "attention",
    modality: Annotated[
        Literal["av", "a", "v"], typer.Option(help="Both, sound only, pictures only.")
    ] = "av",
    task: Annotated[
        Literal["multilabel", "singlelabel"] | None,
        typer.Option(help="mAP or Top-1.", show_default="as the labels are"),
    ] = None,
    train_split: Annotated[
        str | None, typer.Option(help="Split to train on.", show_default="probe_train")
    ] = None,
    test_split: Annotated[
        str | None, typer.Option(help="Split to test on.", show_default="probe_test")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Probes, a seed each.")] = 3,
    which: Which = "last",
    heads: Heads = None,
    as_json: AsJson = False,
    out: Out = None,
    results: Results = RESULTS,
) -> None:
    """Train probes on frozen features and print what they reach on other clips.

    The learning rate is chosen on held-out training clips, never on the test split.

    For example

      [bold]tgdp-eval probe results/runs/4f0c1b --probe linear --modality a[/bold]
    """
    from tgdp.cli import evaluate_run as work
    from tgdp.evaluation.feature_cache import cache_root
    from tgdp.evaluation.probe.settings import ProbeSettings
    from tgdp.evaluation.subject import open_subject

    subject = open_subject(checkpoint, data, None, heads, which)
    settings = ProbeSettings(kind, task or "multilabel", modality, seeds=tuple(range(seeds)))
    splits, cache = (train_split, test_split), cache_root(results)
    found = work.probe(subject, cache, settings, splits, finds_task=task is None)
    dataset = subject.config.data.name
    plain = {"dataset": dataset, "weights": subject.weights, **work.probe_json(found)}
    work.give(plain, work.probe_table(found, dataset), as_json=as_json, out=out)


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
