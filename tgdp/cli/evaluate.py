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
    str,
    typer.Option(
        help="Of a run: last, best, a step, teacher (of the last); of a checkpoint: last, teacher."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path | None, typer.Option(help="Write the JSON to this file.", metavar="FILE")]
Results = Annotated[
    Path, typer.Option(envvar="TGDP_RESULTS", help="Features are kept in it.", metavar="DIR")
]
Record = Annotated[
    bool,
    typer.Option("--record", help="Keep it with the run (or file) and bring it into MLflow."),
]
Task = Annotated[
    Literal["multilabel", "singlelabel"] | None,
    typer.Option(help="mAP or Top-1.", show_default="as the labels are"),
]
TrainSplit = Annotated[
    str | None, typer.Option(help="Split to train on.", show_default="probe_train")
]
TestSplit = Annotated[str | None, typer.Option(help="Split to test on.", show_default="probe_test")]
Seeds = Annotated[int, typer.Option(min=1, help="Probes, a seed each.")]
Sanity = Annotated[
    bool, typer.Option("--sanity", help="Also an untrained encoder, one vector for all, ...")
]
Split = Annotated[
    str | None, typer.Option(help="Split to retrieve among.", show_default="the run's own")
]
RESULTS = Path("results")


@app.command()
def retrieval(
    checkpoint: Checkpoint,
    data: Data = None,
    split: Split = None,
    which: Which = "last",
    sanity: Sanity = False,
    heads: Heads = None,
    as_json: AsJson = False,
    out: Out = None,
    record: Record = False,
    results: Results = RESULTS,
) -> None:
    """Print R@1/5/10 and the median rank, both directions, with 95 % intervals.

    For example

      [bold]tgdp-eval retrieval results/runs/4f0c1b --data data/vgg --split test[/bold]
    """
    from tgdp.cli import evaluate_run as work

    source = work.Source(checkpoint, data, split, heads, which)
    wanted = work.Wanted(retrieval=True, sanity=sanity)
    work.evaluate_one(source, wanted, work.Output(results, as_json, out, record))


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
    task: Task = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    seeds: Seeds = 3,
    which: Which = "last",
    heads: Heads = None,
    as_json: AsJson = False,
    out: Out = None,
    record: Record = False,
    results: Results = RESULTS,
) -> None:
    """Train probes on frozen features and print what they reach on other clips.

    The learning rate is chosen on held-out training clips, never on the test split.

    For example

      [bold]tgdp-eval probe results/runs/4f0c1b --probe linear --modality a[/bold]
    """
    from tgdp.cli import evaluate_run as work

    source = work.Source(checkpoint, data, None, heads, which)
    probes = work.probes((kind,), modality, task, seeds)
    wanted = work.Wanted(probes=probes, splits=(train_split, test_split), finds_task=task is None)
    work.evaluate_one(source, wanted, work.Output(results, as_json, out, record))


@app.command("all")
def everything(
    checkpoint: Checkpoint,
    data: Data = None,
    split: Split = None,
    modality: Annotated[
        str, typer.Option(help="Of the probes: av, a, v, or several as av,a,v.")
    ] = "av",
    task: Task = None,
    train_split: TrainSplit = None,
    test_split: TestSplit = None,
    seeds: Seeds = 3,
    which: Which = "last",
    sanity: Sanity = False,
    heads: Heads = None,
    as_json: AsJson = False,
    out: Out = None,
    record: Record = False,
    results: Results = RESULTS,
) -> None:
    """Measure retrieval and both probes, one after the other; the clips are read once.

    What the checkpoint or the data cannot give is named, and the rest is measured.

    For example

      [bold]tgdp-eval all best_audio_model.pth --data data/vgg --modality av,a,v[/bold]
    """
    from tgdp.cli import evaluate_run as work

    source = work.Source(checkpoint, data, split, heads, which)
    probes = work.probes(("attention", "linear"), modality, task, seeds)
    splits = (train_split, test_split)
    wanted = work.Wanted(True, sanity, probes, splits, finds_task=task is None)
    work.evaluate_all(source, wanted, work.Output(results, as_json, out, record))


@app.command()
def sync(results: Results = RESULTS) -> None:
    """Bring evaluations of files into MLflow that --record kept while it could not be reached.

    Those of runs come with [bold]tgdp-report sync[/bold].
    """
    from tgdp.cli import evaluate_record

    evaluate_record.sync(results)


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
