"""What the store holds about a table, a line a cell."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tgdp.report.measured import measured
from tgdp.sweep.track import Tracked
from tgdp.sweep.track_store import TrackedRun
from tgdp.sweep.track_summary import Summary

FACTS = (
    "variant",
    "seed",
    "signature",
    "run_id",
    "state",
    "reason",
    "dataset",
    "fingerprint",
    "protocol",
    "split",
    "clips",
    "on_training_clips",
    "seconds",
    "device",
    "measured",
)
"""Columns before the metrics; `measured` says over what those were counted that came later."""

TITLE_LENGTH = 60
"""Longest error shown in a table."""


def collect(tracked: Tracked, summary: Summary) -> pd.DataFrame:
    """Return a line for each cell of a table: who it is, how far it is, what it measured.

    A metric of a run that is not done is left out, so that a number in a table is always final.
    """
    lines = [
        {"variant": label, "seed": seed, "signature": name, **_facts(tracked.runs.get(name))}
        for label, seeds in summary.rows.items()
        for seed, name in seeds.items()
    ]
    frame = pd.DataFrame(lines)
    return frame.reindex(columns=[*FACTS, *(c for c in frame.columns if c not in FACTS)])


def _facts(run: TrackedRun | None) -> dict[str, Any]:
    if run is None:
        return {"run_id": "", "state": "new", "reason": "not run", "clips": 0, "measured": {}}
    tags = run.tags
    state = tags.get("tgdp.state", "new")
    facts: dict[str, Any] = {
        "run_id": run.run_id,
        "state": state,
        "reason": reason(tags),
        "dataset": tags.get("tgdp.dataset", ""),
        "fingerprint": tags.get("tgdp.fingerprint", ""),
        "protocol": tags.get("tgdp.protocol", ""),
        "split": tags.get("tgdp.split", ""),
        "clips": int(tags.get("tgdp.clips") or 0),
        "on_training_clips": tags.get("tgdp.on_training_clips") == "true",
        "seconds": float(tags.get("tgdp.seconds") or 0),
        "device": tags.get("tgdp.device", ""),
        "measured": measured(run) if state == "done" else {},
    }
    return facts | (dict(run.metrics) if state == "done" else {})


def reason(tags: Mapping[str, str]) -> str:
    """Return in words why a run has no numbers yet; nothing where it is done."""
    step, total = tags.get("tgdp.step", "0"), tags.get("tgdp.total_steps", "0")
    progress = f", step {step}/{total}" if total != "0" else ""
    error = " ".join(tags.get("tgdp.error", "").split())
    short = error if len(error) <= TITLE_LENGTH else f"{error[: TITLE_LENGTH - 1]}…"
    return {
        "done": "",
        "new": "not run",
        "running": f"running{progress}",
        "interrupted": f"interrupted{progress}",
        "diverged": "diverged",
        "trained": "trained, not evaluated yet",
        "failed": f"failed: {short}" if short else "failed",
    }.get(tags.get("tgdp.state", "new"), "not run")
