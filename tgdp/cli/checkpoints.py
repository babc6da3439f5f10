"""What `tgdp-eval inspect` and `tgdp-eval export` do."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from tgdp.errors import UserError
from tgdp.evaluation.stored import open_checkpoint
from tgdp.model.released.compare import Report
from tgdp.model.released.mae import MARK
from tgdp.model.released.read import Released, examine, read_state
from tgdp.model.released.write import class_call, notes, script_type, to_released
from tgdp.training.checkpoint import write

LISTED = 3
"""Names of a group that the table shows before it only counts."""


def inspect(file: Path, *, as_json: bool) -> None:
    """Print what a released file is and what becomes of every name in it.

    Raises:
        UserError: It cannot be read, or holds what nothing explains; that is printed first.
    """
    state = read_state(file)
    if MARK in state:
        raise UserError(
            f"{file}: an MAE ViT, not a trained audio-visual model; start a run from it with "
            f"--set init.source=file --set init.file={file}"
        )
    released = examine(state, str(file))
    if as_json:
        typer.echo(json.dumps(_as_dict(released), indent=1))
    else:
        _print(released)
    if number := len(released.report.problems):
        raise UserError(f"{file}: {number} names are not explained, so it is not loaded")


def export(run: Path, out: Path, *, force: bool) -> None:
    """Write a checkpoint of ours in the released naming, and print what their code needs.

    Raises:
        UserError: The released model cannot hold it, or the file is there or cannot be written.
    """
    if out.exists() and not force:
        raise UserError(f"{out}: is there already; --force replaces it")
    stored = open_checkpoint(run)
    weights = to_released(stored.student.state_dict(), stored.config)
    try:
        write(out, weights)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from error
    parameters = sum(value.numel() for value in weights.values())
    lines = [
        f"Wrote {out}: {len(weights)} names, {parameters:,} parameters, step {stored.step}",
        f"Class: {class_call(stored.config)}",
    ]
    word = script_type(stored.config)
    if word is None:
        lines.append("Script: retrieval.py builds no model of these sizes; use the class")
    else:
        lines.append(
            f"Script: --model_names tgdp --model_paths {out} --model_types {word}\n"
            "  It loads with strict=False; it must print <All keys matched successfully>"
        )
    lines += [f"Note: {note}" for note in notes(stored.config)]
    console = Console()
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _as_dict(released: Released) -> dict[str, Any]:
    report = released.report
    return {
        "file": released.where,
        "kind": released.kind,
        "parameters": sum(value.numel() for value in released.tensors.values()),
        "sizes": asdict(released.sizes),
        "loaded": list(report.loaded),
        "missing": report.missing,
        "unexpected": report.unexpected,
        "problems": report.problems,
        "notes": list(report.notes),
    }


def _print(released: Released) -> None:
    console, sizes = Console(), released.sizes
    decoder = "none"
    if sizes.decoder_width is not None:
        decoder = f"width {sizes.decoder_width}, {sizes.decoder_layers} layers"
    heads = f", {sizes.head_layers} contrastive head layers" if sizes.head_layers else ""
    total = sum(value.numel() for value in released.tensors.values())
    for line in (
        f"{released.where}: {released.kind}, {total:,} parameters",
        f"  width {sizes.width}, {sizes.modality_layers} layers a branch, "
        f"{sizes.joint_layers} joint{heads}; decoder {decoder}",
        f"  {'CLS' if sizes.has_cls else 'mean of the patches, no CLS'}, "
        f"{sizes.num_registers} registers a modality; {sizes.audio_steps} spectrogram steps, "
        f"pictures of {sizes.image_size} pixels",
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(_table(released.report))
    for note in released.report.notes:
        console.print(f"Note: {note}", markup=False, highlight=False, soft_wrap=True)


def _table(report: Report) -> Table:
    table = Table("", "names", "why", "which")
    table.add_row("loaded", str(len(report.loaded)), "", _which(list(report.loaded)))
    parts = {
        "missing": report.missing,
        "unexpected": report.unexpected,
        "not explained": report.problems,
    }
    for word, part in parts.items():
        for reason, names in _by_reason(part).items():
            style = "red" if part is report.problems else None
            table.add_row(word, str(len(names)), reason, _which(names), style=style)
    return table


def _by_reason(part: Mapping[str, str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name, reason in part.items():
        groups[reason].append(name)
    return groups


def _which(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
