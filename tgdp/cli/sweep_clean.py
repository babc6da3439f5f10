"""`tgdp-sweep clean`: what nothing needs any more, listed, and deleted on request."""

import json
from pathlib import Path

import typer

from tgdp.sweep.orphans import Orphan, delete, find

UNITS = ("B", "KB", "MB", "GB", "TB")


def clean(results: Path, is_deleting: bool, yes: bool, as_json: bool) -> None:
    """List what nothing in the results folder needs; delete it if told to, after asking.

    Args:
        results: The results folder.
        is_deleting: Delete what is listed.
        yes: Do not ask.
        as_json: As a JSON object.
    """
    found = find(results)
    if not as_json:
        _say(found)
    gone: tuple[Orphan, ...] = ()
    if found and is_deleting:
        if not yes:
            typer.confirm(f"Delete these {len(found)} for good?", abort=True)
        gone = delete(found)
    if as_json:
        data = {"orphans": [_data(one) for one in found], "deleted": [str(o.path) for o in gone]}
        typer.echo(json.dumps(data, indent=1))
    elif is_deleting and found:
        _say_deleted(found, gone)
    elif found:
        typer.echo("Nothing was deleted; --delete does, after asking.")


def _say(found: tuple[Orphan, ...]) -> None:
    for one in found:
        typer.echo(f"{one.kind:16} {_bytes(one.size):>9}  {one.path}  ({one.why})")
    total = _bytes(sum(one.size for one in found))
    typer.echo(f"{len(found)} orphans, {total}." if found else "Nothing to clean away.")


def _say_deleted(found: tuple[Orphan, ...], gone: tuple[Orphan, ...]) -> None:
    typer.echo(f"{len(gone)} deleted, {_bytes(sum(one.size for one in gone))}.")
    for one in found:
        if one not in gone:
            typer.echo(f"Left, for somebody may need it by now: {one.path}")


def _bytes(size: float) -> str:
    for unit in UNITS[:-1]:
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.0f} {UNITS[-1]}"


def _data(one: Orphan) -> dict[str, object]:
    return {"path": str(one.path), "kind": one.kind, "bytes": one.size, "why": one.why}
