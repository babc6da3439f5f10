"""`tgdp-data`: bring clips into the form that training reads."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli.console import run

if TYPE_CHECKING:
    from tgdp.data.card import DatasetCard
    from tgdp.data.prepare import Progress

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Bring clips into the form that training reads.

    Example: [bold]tgdp-data prepare my_clips.csv data/mine --workers 8[/bold]""",
)


class Audio(StrEnum):
    """How sound is stored."""

    FLAC = "flac"
    WAV = "wav"


@app.callback()
def group() -> None:
    """Keep `prepare` a command of its own, however few commands there are."""


@app.command()
def prepare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST_OR_FOLDER",
            help="JSON in CAV-MAE's form, CSV with video_id,path[,label][,split], or a folder.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that decode; one a core.")] = 1,
    labels: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Label list: index,mid,display_name.")
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the media lie: stands for placeholders such as <YOUR_VGGS_PATH>.",
        ),
    ] = None,
    frame_size: Annotated[
        int, typer.Option(min=8, help="Short side that larger pictures are reduced to, pixels.")
    ] = 256,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, help="What lies beyond is cut, seconds.")
    ] = 10.24,
    min_seconds: Annotated[
        float, typer.Option(min=0.03, help="Shorter clips are refused, seconds.")
    ] = 1.0,
    audio: Annotated[
        Audio, typer.Option(help="flac: half the size; wav: read twice as fast.")
    ] = Audio.FLAC,
    shard_clips: Annotated[int, typer.Option(min=1, help="Clips in one shard.")] = 1000,
    name: Annotated[
        str | None, typer.Option(help="Name in metric names; by default that of the folder.")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away an earlier preparation of OUT.")
    ] = False,
) -> None:
    """Decode clips once: 16 frames and 16 kHz sound each, in shards that training reads.

    Stopped or killed, the same command goes on where it was. Clips that cannot be used are listed
    with the reason in OUT/failures.csv and never replaced.

    For example

      [bold]tgdp-data prepare clips.csv data/mine --workers 8[/bold]

      [bold]tgdp-data prepare videos/ data/mine[/bold]   (every media file; its name is the id)

      [bold]tgdp-data prepare vgg.json data/vgg --root /data/vggsound --labels vgg.csv[/bold]
    """
    from dataclasses import replace

    from tgdp.data.card import PrepareSettings
    from tgdp.data.manifest import read_manifest

    manifest = read_manifest(source, labels, root)
    if name is not None:
        manifest = replace(manifest, name=name)
    settings = PrepareSettings(
        frame_size=frame_size,
        max_seconds=max_seconds,
        min_seconds=min_seconds,
        audio=audio.value,
        shard_clips=shard_clips,
    )
    from tgdp.cli.progress import ClipProgress
    from tgdp.data.prepare import Progress
    from tgdp.data.prepare import prepare as prepare_clips

    newest: list[Progress] = []
    with ClipProgress("preparing") as shown:

        def report(now: Progress) -> None:
            newest[:] = [now]
            shown.update(now.done, now.total, failures=now.failures, rate=now.rate)

        try:
            card = prepare_clips(
                manifest, out, settings, workers=workers, restart=restart, report=report
            )
        except KeyboardInterrupt:
            done = f"{newest[0].done:,} of {newest[0].total:,} clips are kept" if newest else ""
            shown.console.print(f"stopped; {done}; the same command goes on from there")
            raise
    _summarise(card, newest[0] if newest else None)


def _summarise(card: "DatasetCard", progress: "Progress | None") -> None:
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.items())
    total = sum(card.splits.values())
    if progress is None:
        typer.echo(f"{card.folder}: already prepared ({total:,} clips: {splits}); nothing to do")
    else:
        typer.echo(f"{card.folder}: {total:,} clips ({splits}), {card.num_failures:,} failed")
        typer.echo(f"{progress.fresh:,} clips in {progress.seconds:.0f} s, {progress.rate:.1f}/s")
    if card.num_failures:
        typer.echo(f"reasons: {card.folder / 'failures.csv'}")
    typer.echo(f"next: tgdp-sweep masking --data {card.folder}")


def main() -> None:
    """Run `tgdp-data`."""
    run(app)


if __name__ == "__main__":
    main()
