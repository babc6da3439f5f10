"""What is written beside the numbers of a run."""

import json
from typing import Any

from tgdp.config import Config, pretrain_signature
from tgdp.sweep.gpu_hours import HOUR_S, gpu_seconds, wasted_gpu_seconds
from tgdp.training.run_directory import RunDirectory

TEXT_LIMIT = 500
"""Longest tag or param; mlflow cuts at 6,000 to 8,000 characters without saying so."""


def describe(directory: RunDirectory, config: Config) -> dict[str, str]:
    """Return the tags of a run: what it is, how far it is, where it ran, what was measured."""
    status, found = directory.status(), directory.result() or {}
    environment = _environment(directory)
    tags: dict[str, Any] = {
        "kind": "cell",
        "signature": directory.name,
        "pretrain": pretrain_signature(config),
        "directory": directory.path.resolve(),
        "dataset": config.data.name,
        "fingerprint": config.data.fingerprint,
        "seed": config.seed,
        "state": status.state,
        "step": status.step,
        "total_steps": status.total_steps,
        "error": status.error,
        "attempt": status.attempt,
        "seconds": round(status.seconds, 1),
        "lost_seconds": round(status.wasted_seconds, 1),
        # By the run's own clock: the scheduler is not asked, it may be elsewhere.
        "gpu_hours": round(gpu_seconds(directory, status, ()) / HOUR_S, 4),
        "lost_gpu_hours": round(wasted_gpu_seconds(directory, status, ()) / HOUR_S, 4),
        "host": status.host,
        "commit": environment.get("commit", ""),
        "device": ", ".join(environment.get("gpu_models", ())) or environment.get("cpu", ""),
        "torch": environment.get("packages", {}).get("torch", ""),
        "protocol": found.get("protocol", config.evaluation.protocol),
        "split": found.get("split", config.evaluation.split),
        "clips": found.get("n", ""),
        "missing": len(found.get("missing", ())),
        "on_training_clips": str(bool(found.get("on_training_clips", False))).lower(),
        **_protocols(directory),
    }
    return {f"tgdp.{key}": str(value)[:TEXT_LIMIT] for key, value in tags.items()}


def _protocols(directory: RunDirectory) -> dict[str, str]:
    """Return the newest version of each protocol by which something was measured after the end."""
    protocols = [str(found["protocol"]) for found in directory.evaluation_results()]
    protocols.sort(key=lambda name: (len(name), name))  # v9 before v10
    return {f"protocol.{name.partition('/')[0]}": name for name in protocols}


def _environment(directory: RunDirectory) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(directory.environment_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found
