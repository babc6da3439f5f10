"""`tgdp-data`: bring clips into the form that training reads."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tgdp.cli.console import run
from tgdp.data.synthetic.spec import EMBEDDED, SynthSpec

if TYPE_CHECKING:
    from tgdp.data.card import DatasetCard
    from tgdp.data.prepare import Progress

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Bring clips into the form that training reads.

    [bold]tgdp-data prepare my_clips.csv data/mine --workers 8[/bold]   one's own clips

    [bold]tgdp-data synth clips/ --noise 0.8[/bold]   the embedded benchmark with other knobs""",
)


class Audio(StrEnum):
    """How sound is stored."""

    FLAC = "flac"
    WAV = "wav"


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


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    clips: Annotated[
        int, typer.Option(min=16, help="Training clips; others follow.")
    ] = EMBEDDED.clips,
    noise: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Semantic noise: distractors, hum, silence.")
    ] = EMBEDDED.noise,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=60.0, help="Length of a clip.")
    ] = EMBEDDED.seconds,
    size: Annotated[
        int, typer.Option(min=32, max=512, help="Side of a picture, pixels.")
    ] = EMBEDDED.size,
    fps: Annotated[int, typer.Option(min=2, max=60, help="Pictures a second.")] = EMBEDDED.fps,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal clips.")] = EMBEDDED.seed,
    workers: Annotated[int, typer.Option(min=1, help="Processes; one a core.")] = 1,
) -> None:
    """Make the embedded benchmark as real video files, with manifests in CAV-MAE's form.

    `tgdp-sweep` makes the benchmark with its usual knobs by itself; this is for other ones.

    For example

      [bold]tgdp-data synth clips/ --noise 0.8 --workers 2[/bold]

      [bold]tgdp-data prepare clips/ data/noisy --workers 2[/bold]
    """
    from pydantic import ValidationError

    from tgdp.cli.progress import ClipProgress
    from tgdp.data.synthetic.benchmark import write_benchmark
    from tgdp.data.synthetic.contact_sheet import write_contact_sheet
    from tgdp.errors import UserError

    try:
        spec = SynthSpec(seed=seed, clips=clips, seconds=seconds, size=size, fps=fps, noise=noise)
    except ValidationError as error:
        problem = error.errors()[0]
        raise UserError(f"--{problem['loc'][0]} {problem['input']}: {problem['msg']}") from error
    with ClipProgress("making", noun=None) as shown:
        write_benchmark(out, spec, workers=workers, report=shown.update)
    typer.echo(f"{out}: {sum(spec.splits.values()):,} clips")
    typer.echo(f"see: {write_contact_sheet(out / 'contact_sheet.png', spec)}")
    typer.echo(f"next: tgdp-data prepare {out} DATA --audio wav --workers {workers}")


def _summarise(card: "DatasetCard", progress: "Progress | None") -> None:
    splits = ", ".join(f"{name} {count:,}" for name, count in card.splits.items())
    total = sum(card.splits.values())
    if progress is None:
        typer.echo(f"{card.folder}: already prepared ({total:,} clips: {splits}); nothing to do")
    else:
        typer.echo(f"{card.folder}: {total:,} clips ({splits}), {card.num_failures:,} failed")
    if progress is not None and progress.fresh:
        before = progress.done - progress.fresh
        earlier = f", {before:,} before that" if before else ""
        typer.echo(
            f"{progress.fresh:,} clips in {progress.seconds:.0f} s "
            f"({progress.rate:.1f} clips/s){earlier}"
        )
    if card.num_failures:
        typer.echo(f"reasons: {card.folder / 'failures.csv'}")
    clear = "train" in card.splits or len(card.splits) == 1
    which = "" if clear else " --set data.train_split=SPLIT"
    typer.echo(f"next: tgdp-sweep masking --data {card.folder}{which}")


def main() -> None:
    """Run `tgdp-data`."""
    run(app)


if __name__ == "__main__":
    main()
