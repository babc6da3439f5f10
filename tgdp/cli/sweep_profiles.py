"""`tgdp-sweep profiles`: which cluster profiles there are, and what a cluster says to them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tgdp.cli.sweep_options import AsJson
from tgdp.errors import UserError

if TYPE_CHECKING:
    # Only for types: pydantic takes longer to load than `--help` may take to answer.
    from tgdp.sweep.slurm.profile import Profile
    from tgdp.sweep.slurm.site import Site

BAD = 2
"""Exit code where a profile cannot be read, or the cluster would not run its jobs."""


def list_profiles(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="These alone.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Ask the cluster one is on; submits nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the cluster profiles, where they come from, and what a cluster says to them."""
    from tgdp.sweep.slurm.profile_files import load_profile, profile_files
    from tgdp.sweep.slurm.site import read_site

    files = profile_files()
    for name in names or ():
        if name not in files:
            load_profile(name)  # says which there are
    chosen = {name: path for name, path in files.items() if not names or name in names}
    site = read_site() if check else None
    rows = [_row(name, path, site) for name, path in chosen.items()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _show(rows, site)
    if any(row["error"] or row["findings"] for row in rows) and (check or names):
        raise typer.Exit(BAD)


def _row(name: str, path: Path, site: "Site | None") -> dict[str, Any]:
    from tgdp.sweep.slurm.check import check, warnings
    from tgdp.sweep.slurm.jobs import STAGES
    from tgdp.sweep.slurm.profile_files import read_profile

    row: dict[str, Any] = {"name": name, "file": str(path), "error": "", "findings": []}
    try:
        profile = read_profile(path)
    except UserError as error:
        return {**row, "error": str(error)}
    row["profile"] = profile.model_dump(mode="json", exclude_unset=True)
    row["asks"] = _asks(profile)
    if site is not None:
        found = check(profile, site, STAGES)
        row["findings"] = [finding._asdict() for finding in found]
        row["warnings"] = warnings(profile, site)
    return row


def _asks(profile: "Profile") -> str:
    """Return what a profile asks for, in words."""
    from tgdp.sweep.slurm.units import as_size, as_time

    nodes = f"{profile.nodes} node{'s' * (profile.nodes != 1)}"
    gpus = f"{profile.gpus} x {profile.gpu_type or 'GPU'}" if profile.gpus else "no GPU"
    memory = f", {as_size(profile.memory)}" if profile.memory else ""
    where = f" in {profile.partition}" if profile.partition else ""
    cores = f"{profile.cpus} core{'s' * (profile.cpus != 1)}{' each' * (profile.gpus > 1)}"
    return f"{nodes}, {gpus}, {cores}{memory}, {as_time(profile.walltime)}{where}"


def _show(rows: list[dict[str, Any]], site: "Site | None") -> None:
    from rich.console import Console
    from rich.markup import escape

    from tgdp.sweep.slurm.profile_files import user_folder

    console = Console(highlight=False, soft_wrap=True)
    for row in rows:
        text = row["error"] or row["profile"].get("description", "")
        console.print(f"[bold cyan]{row['name']}[/]  {escape(text)}")
        lines = [row["asks"]] if not row["error"] else []
        lines += [f"[red]{found['field']}: {escape(found['said'])}[/]" for found in row["findings"]]
        if site is not None and not row["error"]:
            lines += [f"[yellow]{escape(note)}[/]" for note in row["warnings"]]
            lines += [] if row["findings"] else ["[green]the cluster would run it[/]"]
        for line in (*lines, row["file"]):
            console.print(f"    {line}")
    console.print(f"Your own belong into {user_folder()}.")
    if site is not None:
        facts = ", ".join(f"{name}={said}" for name, said in site.facts.items())
        console.print(f"The cluster: {escape(facts)}.")
