"""`tgdp-sweep sync`: run directories into the tracking store, once or while a cluster works."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import typer

from tgdp.errors import UserError


def sync(results: Path, again: bool, pause_s: float, as_json: bool) -> None:
    """Bring every run directory into the store; doing it again changes nothing.

    Args:
        results: The results folder.
        again: Go on until Ctrl-C. A store that does not answer is tried again.
        pause_s: Seconds between two syncs.
        as_json: Say what each did as a line of JSON.

    Raises:
        UserError: The store does not answer, and it was to be asked only once.
    """
    # Here, not above: it brings mlflow, which takes seconds to load.
    from tgdp.sweep import track

    while True:
        try:
            report = track.sync(results)
        except UserError as error:
            if not again:
                raise
            typer.echo(f"{time.strftime('%H:%M:%S')} {error}", err=True)
        else:
            typer.echo(json.dumps(asdict(report)) if as_json else f"{_clock(again)}{report}")
            for line in report.skipped:
                typer.echo(f"Skipped: {line}", err=True)
        if not again:
            return
        time.sleep(pause_s)


def _clock(again: bool) -> str:
    return f"{time.strftime('%H:%M:%S')} " if again else ""
