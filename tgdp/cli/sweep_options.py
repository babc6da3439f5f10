"""The options of `tgdp-sweep` that more than one of its commands has."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Preset = Annotated[str, typer.Option(help="tiny (two CPU cores), small (one GPU) or paper.")]
Data = Annotated[
    Path | None, typer.Option(help="Prepared data folder.", show_default="embedded benchmark")
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the base; repeatable."),
]
Seeds = Annotated[
    str | None,
    typer.Option(metavar="N|A,B,..", help="How many, or which.", show_default="the sweep's own"),
]
Results = Annotated[Path, typer.Option(envvar="TGDP_RESULTS", help="Where all is kept.")]
ClusterName = Annotated[
    Literal["debug", "local", "slurm"],
    typer.Option(
        help="debug: in this process, one by one; local: in processes of their own; "
        "slurm: submitted to a cluster."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Runs at once.", show_default="one a GPU, else two if cores allow"),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan; write nothing.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try failed runs again.")]
RetryDiverged = Annotated[
    bool, typer.Option("--retry-diverged", help="Try runs again that diverged; they do so again.")
]
Probes = Annotated[
    list[str] | None,
    typer.Option(
        "--probe", metavar="KIND", help="Also measure by this probe: linear, attention; repeatable."
    ),
]
Modality = Annotated[
    str, typer.Option(metavar="LIST", help="Of the probes: av, a, v, or several as av,a,v.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
ProfileName = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="slurm: where and how jobs run; `tgdp-sweep profiles` lists them.",
    ),
]
ShowScript = Annotated[
    bool, typer.Option("--show-script", help="slurm: print what sbatch would get; submit nothing.")
]
Wait = Annotated[bool, typer.Option("--wait", help="slurm: return when all is over.")]

RESULTS = Path("results")
