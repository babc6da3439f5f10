"""`tgdp-sweep retry`: let the next launch take up what ended badly."""

import json
from pathlib import Path

import typer

from tgdp.errors import UserError
from tgdp.sweep.cells import every, find
from tgdp.sweep.retry import Kind, candidates, mark


def retry(
    results: Path, pattern: str | None, kinds: tuple[Kind, ...], from_scratch: bool, as_json: bool
) -> None:
    """Mark runs that ended for one of some causes.

    Args:
        results: The results folder.
        pattern: Only these runs; None for all.
        kinds: Causes.
        from_scratch: Move what is there aside, so that they begin anew.
        as_json: Say what was found as JSON.

    Raises:
        UserError: No cause is named, no run is meant, or a process works on one of them.
    """
    if not kinds:
        raise UserError("retry: say which, with --failed, --timeout or --oom; several may be given")
    runs = find(results, pattern) if pattern else every(results)
    found = candidates(runs, kinds)
    marked, moved = mark(found, results, from_scratch)
    found = [one for one in found if one.named.run.name in marked]
    if as_json:
        rows = [
            {"run": one.named.run.name, "cause": one.cause, "error": one.life.status.error}
            for one in found
        ]
        typer.echo(json.dumps({"runs": rows, "moved": [str(path) for path in moved]}, indent=1))
        return
    for one in found:
        typer.echo(str(one))
    for path in moved:
        typer.echo(f"What it had is kept in {path}")
    if found:
        how = "anew" if from_scratch else "from its last save"
        typer.echo(f"{len(found)} marked. The next launch of the sweep takes each up, {how}.")
    else:
        typer.echo(f"No run ended so: {', '.join(kinds)}.")
