"""`tgdp-sweep cancel`: stop runs, after asking."""

import json
from pathlib import Path

import typer

from tgdp.sweep.cancel import Stoppable, stop, stoppable
from tgdp.sweep.cells import find


def cancel(results: Path, pattern: str, yes: bool, as_json: bool) -> None:
    """Stop every run that a word means; on this machine it saves first.

    Args:
        results: The results folder.
        pattern: A name of a run or a pattern over names.
        yes: Do not ask.
        as_json: Say what is stopped as JSON.

    Raises:
        UserError: No run is meant, or the cluster refuses.
    """
    found = stoppable(find(results, pattern))
    if not found:
        typer.echo("[]" if as_json else "Nothing to cancel: none of them waits or runs.")
        return
    if not as_json:
        typer.echo("\n".join(map(str, found)))
    ready = [one for one in found if not one.obstacle]
    if ready and not yes:
        typer.confirm(f"Cancel {len(ready)} run{'s' * (len(ready) != 1)}?", abort=True)
    stop(ready)
    if as_json:
        typer.echo(json.dumps([_data(one) for one in found], indent=1))
    elif ready:
        typer.echo("Told to stop. What was running goes on from its last save, if launched again.")


def _data(one: Stoppable) -> dict[str, object]:
    return {
        "run": one.named.run.name,
        "state": one.life.state,
        "jobs": list(one.jobs),
        "process": one.process or None,
        "obstacle": one.obstacle,
    }
