"""A run's folder: the truth about it, from which tracking, status and tables are made.

    config.yaml          the resolved configuration
    events.jsonl         one JSON object a line: metrics, tags, state changes, with time stamps
    status.json          the newest state, replaced whole: what `status` and `plan` read
    result.json          written once, at the very end: the numbers and what they were counted over
    environment.json     versions, host and hardware of the newest attempt to train, and in it those
                         of the evaluation, where that was a job of its own
    evaluations/         one JSON file an evaluation: probes, and retrieval with other weights
    diverged.json        only where training ended for want of finite gradients: step, clips, losses
    checkpoints/         step-00000500.pt, ...
    log/                 what the job printed

Nothing here imports torch, so that a plan of ten thousand runs is made in a moment.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from pydantic_core import from_json

from tgdp.data.files import read_small, write_whole
from tgdp.errors import UserError

State = Literal["new", "running", "interrupted", "diverged", "failed", "trained", "done"]

ENDED_BADLY: tuple[State, ...] = ("failed", "diverged")
"""Another job would end so again; a launch leaves these alone unless it is told to try them."""


@dataclass(frozen=True)
class Status:
    """The newest state of a run.

    Attributes:
        state: `new` where nothing was written yet; `running`; `interrupted` (stopped on request or
            its process is gone; it goes on from its last checkpoint); `diverged` (its gradients
            are no numbers any more, and would not be in another attempt); `failed`; `trained` (the
            checkpoint of the last step is there, the result is not); `done`.
        step: Optimiser steps taken.
        total_steps: Steps the run will take; 0 where not known yet.
        loss: Newest total loss.
        samples_per_s: Training pairs a second over the newest stretch, of all ranks.
        data_wait: Share of that stretch in which the trainer waited for data.
        mfu: Model FLOP/s utilisation over it; None where the peak of the device is not known.
        saved: Step of the newest checkpoint.
        r1: R@1 from sound to pictures when it was last measured in training; None before.
        seconds: Seconds spent in this run over all attempts.
        saved_seconds: What `seconds` was when the work was last safe; None where not noted.
        lost_seconds: Seconds of work that was lost with its job, up to this attempt.
        attempt: Number of jobs that worked on the run; one trains, another one evaluates.
        host: Host of the newest attempt.
        pid: Process of the newest attempt.
        updated: Unix time of this record, seconds.
        error: One line that says what failed.
        mendable: Whether the error is one the user can mend, as bad input and a full disk are.
    """

    state: State = "new"
    step: int = 0
    total_steps: int = 0
    loss: float | None = None
    samples_per_s: float | None = None
    data_wait: float | None = None
    mfu: float | None = None
    saved: int = 0
    r1: float | None = None
    seconds: float = 0.0
    saved_seconds: float | None = None
    lost_seconds: float = 0.0
    attempt: int = 0
    host: str = ""
    pid: int = 0
    updated: float = field(default_factory=time.time)
    error: str = ""
    mendable: bool = False

    @property
    def share(self) -> float:
        """The share of its steps that are taken, 0 to 1."""
        return min(self.step / self.total_steps, 1.0) if self.total_steps else 0.0

    @property
    def is_trained(self) -> bool:
        """Whether the last step is saved, so that nothing but the result can be missing."""
        return 0 < self.total_steps <= self.saved

    @property
    def wasted_seconds(self) -> float:
        """Seconds whose work was lost, that of an attempt that just ended included."""
        if self.state in {"running", "done"} or self.saved_seconds is None:
            return self.lost_seconds
        return self.lost_seconds + max(0.0, self.seconds - self.saved_seconds)


class Below:
    """A path below a run's folder, made when it is asked for: a plan looks at ten thousand runs.

    Args:
        name: What it is called there.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: "RunDirectory", owner: type) -> Path:
        return run.path / self._name


class RunDirectory:
    """Reads and writes the files of one run.

    Args:
        path: The run's folder; it need not exist.
    """

    config_file = Below("config.yaml")
    events_file = Below("events.jsonl")
    status_file = Below("status.json")
    result_file = Below("result.json")
    evaluations = Below("evaluations")
    environment_file = Below("environment.json")
    diverged_file = Below("diverged.json")
    lock_file = Below("lock")
    checkpoints = Below("checkpoints")
    log = Below("log")

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The signature the run is named by."""
        return self.path.name

    def create(self, config_text: str) -> None:
        """Make the folder and store the configuration.

        Raises:
            UserError: The folder cannot be written.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            self.log.mkdir(exist_ok=True)
            if not self.config_file.exists():
                write_whole(self.config_file, config_text)
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot write the run directory ({error.strerror})"
            ) from error

    def status(self) -> Status:
        """Return the newest state; a run whose process is gone is not `running`.

        It is `interrupted`, `trained` if the last step was saved, or `done` if its process had
        still written the result.
        """
        try:
            # Not through a Path: a plan reads ten thousand of these.
            stored = Status(**from_json(read_small(f"{self.path}/status.json")))
        except FileNotFoundError:
            return Status(updated=0.0)
        if stored.state == "running" and not _is_alive(stored):
            stored = replace(stored, state="done" if self.result_file.exists() else "interrupted")
        return left_behind(stored)

    def set_status(self, status: Status) -> None:
        """Replace the newest state."""
        write_whole(self.status_file, json.dumps(asdict(status)))

    def append(self, *events: Mapping[str, Any]) -> None:
        """Append events, stamped with the time in milliseconds, and flush them to the disk.

        Args:
            events: For example `{"kind": "metric", "step": 10, "values": {"perf/mfu": 0.4}}`,
                `{"kind": "tag", "values": {...}}` or `{"kind": "state", "state": "done"}`.
        """
        stamp = time.time_ns() // 1_000_000
        text = "".join(json.dumps({"time": stamp, **event}) + "\n" for event in events)
        with self.events_file.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield every event in order; a last line torn by a crash is left out."""
        try:
            text = self.events_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)

    def forget_after(self, step: int) -> None:
        """Drop a torn last line and the events of steps that will be taken again."""
        kept = [event for event in self.events() if event.get("step", 0) <= step]
        if self.events_file.exists():
            write_whole(self.events_file, "".join(json.dumps(event) + "\n" for event in kept))

    def result(self) -> dict[str, Any] | None:
        """Return what the finished run measured, or None while it has not finished."""
        try:
            return json.loads(self.result_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def evaluation_results(self) -> list[dict[str, Any]]:
        """Return every evaluation that was kept, in the order of the file names.

        Raises:
            UserError: A file is no JSON object.
        """
        return [_object(file) for file in sorted(self.evaluations.glob("*.json"))]


def left_behind(status: Status) -> Status:
    """Return what an interrupted run is left as: `trained` where only its result is missing."""
    ended = status.state == "interrupted" and status.is_trained
    return replace(status, state="trained") if ended else status


def _object(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: no JSON ({error}); delete it and evaluate again") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: no JSON object; delete it and evaluate again")
    return cast("dict[str, Any]", found)


def _is_alive(status: Status) -> bool:
    if status.host != os.uname().nodename:
        # A process on another host cannot be asked; it writes its status at every log line.
        return time.time() - status.updated < 600
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
