"""`tgdp-report reconstructions` and `priorities`: pictures of what one run sees and fills in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from tgdp.evaluation.gallery import Gallery
    from tgdp.evaluation.picture_arrays import Priorities, Reconstructions
    from tgdp.evaluation.picture_clips import Wish
    from tgdp.evaluation.stored import Stored
    from tgdp.report.pictures import Kind
    from tgdp.training.run_directory import RunDirectory

Run = Annotated[
    str,
    typer.Argument(
        help="A run directory, or a signature or its beginning below results/runs.", metavar="RUN"
    ),
]
Clips = Annotated[int, typer.Option(min=1, help="So many clips from the start of the split.")]
Ids = Annotated[
    str | None, typer.Option(help="These clips instead, split by commas.", metavar="ID,ID")
]
Frame = Annotated[
    int | None,
    typer.Option(help="Frame of each clip, from 0.", metavar="N", show_default="the middle one"),
]
Data = Annotated[
    Path | None,
    typer.Option(help="Prepared data folder.", metavar="DIR", show_default="the run's own"),
]
Split = Annotated[
    str | None, typer.Option(help="Split the clips are of.", show_default="the run's own")
]
Out = Annotated[
    Path | None,
    typer.Option(help="Another place for the PNG; MLflow does not get it then.", metavar="FILE"),
]
Results = Annotated[
    Path, typer.Option(envvar="TGDP_RESULTS", help="Results folder.", metavar="DIR")
]
RESULTS = Path("results")


def reconstructions(
    run: Run,
    clips: Clips = 4,
    ids: Ids = None,
    frame: Frame = None,
    data: Data = None,
    split: Split = None,
    out: Out = None,
    results: Results = RESULTS,
) -> None:
    """Draw what a run makes of hidden patches: input, masked, prediction, composite.

    Frame and spectrogram of a few clips, masked as in training. The PNG goes into the run's
    directory and its MLflow run.

    Example: [bold]tgdp-report reconstructions 4f0c1b --clips 3[/bold]
    """
    from tgdp.evaluation.pictures import reconstructions as make

    found, stored, wish = _open((run, results), (data, split), (clips, ids, frame))
    _finish(found, results, "reconstructions", make(stored, wish), out)


def priorities(
    run: Run,
    clips: Clips = 4,
    ids: Ids = None,
    frame: Frame = None,
    ratios: Annotated[
        str,
        typer.Option(help="Shares of the patches dropped, split by commas.", metavar="R,R"),
    ] = "0.25,0.5,0.65,0.75",
    attention: Annotated[
        Literal["cls_to_patch", "patch_to_cls", "both"] | None,
        typer.Option(help="Attention that ranks.", show_default="the run's own"),
    ] = None,
    data: Data = None,
    split: Split = None,
    out: Out = None,
    results: Results = RESULTS,
) -> None:
    """Draw which patches the teacher ranks high, and which stay visible by it at several ratios.

    Where the run has no teacher, its student ranks. The PNG goes into the run's directory and its
    MLflow run.

    Example: [bold]tgdp-report priorities 4f0c1b --attention both --ids clip-1,clip-2[/bold]
    """
    from tgdp.evaluation.priorities import DIRECTIONS
    from tgdp.evaluation.priorities import priorities as make

    shares = _numbers(ratios)
    directions = DIRECTIONS if attention == "both" else (attention,) if attention else ()
    found, stored, wish = _open((run, results), (data, split), (clips, ids, frame))
    _finish(found, results, "priorities", make(stored, wish, shares, directions), out)


def gallery(
    run: Run,
    ids: Annotated[
        str | None, typer.Option(help="Ask for these clips, split by commas.", metavar="ID,ID")
    ] = None,
    hardest: Annotated[
        int, typer.Option(min=0, help="Queries of each direction that are farthest off.")
    ] = 4,
    data: Data = None,
    split: Split = None,
    results: Results = RESULTS,
) -> None:
    """Show what a run finds: queries with their first five answers, in a page with players.

    Sound to film and film to sound; a true answer is framed in green, its rank in the title. Writes
    one HTML file, which needs no other, and a PNG, which goes into the MLflow run as well.

    Example: [bold]tgdp-report gallery 4f0c1b --hardest 6[/bold]
    """
    from dataclasses import replace

    from tgdp.errors import UserError
    from tgdp.evaluation.gallery import gallery as make
    from tgdp.report import pictures
    from tgdp.report.gallery_page import page

    found, stored, wish = _open((run, results), (data, split), (1, ids, None))
    if not wish.ids and not hardest:
        raise UserError("--hardest 0: then name the clips to ask for with --ids ID,ID")
    made = make(stored, found.name, wish.ids, hardest, stored.config.runtime.num_workers)
    file = found.path / pictures.FOLDER / "gallery.html"
    pictures.write(file, page(made).encode())
    typer.echo(f"  {file}")
    drawn = replace(made, queries=made.queries[: pictures.DRAWABLE])
    _finish(found, results, "gallery", drawn, None)


def _open(
    where: tuple[str, Path],
    source: tuple[Path | None, str | None],
    wanted: tuple[int, str | None, int | None],
) -> "tuple[RunDirectory, Stored, Wish]":
    from tgdp.evaluation.find import find_run
    from tgdp.evaluation.picture_clips import Wish
    from tgdp.evaluation.stored import open_checkpoint

    found, (clips, ids, frame) = find_run(*where), wanted
    names = tuple(name.strip() for name in (ids or "").split(",") if name.strip())
    return found, open_checkpoint(found.path, *source), Wish(found.name, clips, names, frame)


def _finish(
    run: "RunDirectory",
    results: Path,
    kind: "Kind",
    arrays: "Reconstructions | Priorities | Gallery",
    out: Path | None,
) -> None:
    from tgdp.evaluation.find import results_of
    from tgdp.report import pictures

    png = pictures.draw(kind, arrays)
    if out is not None:
        pictures.write(out, png)
        typer.echo(f"  {out}")
        return
    kept = pictures.keep(run, results, kind, png)
    typer.echo(f"  {kept.file}")
    if kept.store is None:
        typer.echo(f"Warning: the picture is not in MLflow. {kept.problem}", err=True)
        typer.echo(f"Next: tgdp-report sync --results {results_of(run, results)}")
        return
    typer.echo(f"MLflow: artifact pictures/{kept.file.name} of run {run.name} in {kept.store}")
    other = "priorities" if kind == "reconstructions" else "reconstructions"
    typer.echo(f"Next: tgdp-report {other} {run.path}   or: tgdp-report dashboard")


def _numbers(text: str) -> tuple[float, ...]:
    from tgdp.errors import UserError

    try:
        found = tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise UserError(f"--ratios {text}: expected numbers, as in 0.25,0.5") from error
    if not found:
        raise UserError("--ratios: give at least one number, as in 0.25,0.5")
    return found
