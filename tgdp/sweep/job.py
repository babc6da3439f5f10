"""One run as a job: the small thing that is sent to a process, a queue or a cluster.

It holds only words, so that it unpickles without loading torch and no signal finds the process
before its handlers stand. Everything else it reads from the run directory.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tgdp.data.files import write_whole
from tgdp.errors import DivergedError, UserError
from tgdp.sweep.hold import ShouldStop, clear_away, function, hold, speak
from tgdp.sweep.logs import error_since, error_size, keep_traceback
from tgdp.sweep.stages import EXECUTE
from tgdp.sweep.state import read_state
from tgdp.sweep.stop import StopRequest, stop_on_signals
from tgdp.training.ranks import find_meeting, is_lost_rank, open_group, told
from tgdp.training.run_directory import RunDirectory, State, Status

if TYPE_CHECKING:
    from tgdp.config import Config


@dataclass(frozen=True)
class Job:
    """Works on one run, and keeps its status true whatever happens.

    Attributes:
        directory: The run directory.
        config: Configuration as YAML text; its `runtime` part replaces the stored one.
        execute: `module:function` that does the work.
        launcher: Process of this host without which the job stops; 0 for none.
        gpu: Value for CUDA_VISIBLE_DEVICES; empty to leave it alone.
        settled: States in which the run is left alone.
        leaves: State of the run once that work came to its end.
    """

    directory: str
    config: str
    execute: str = EXECUTE
    launcher: int = 0
    gpu: str = ""
    settled: tuple[State, ...] = ("done",)
    leaves: State = "done"

    def __call__(self) -> State | None:
        """Run, resuming where an earlier attempt ended; of several ranks, each calls this.

        Returns:
            The state the run is in afterwards; None where another process holds the run, and on
            every rank but the first.
        """
        run = RunDirectory(Path(self.directory))
        if self.gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.launcher != os.getpid():
            speak()
        with stop_on_signals(StopRequest()) as stop:
            meeting = find_meeting()
            if meeting is None:
                return self._lead(run, stop)
            with open_group(meeting, self._parsed().runtime.device) as ranks:
                return self._lead(run, stop) if ranks.is_first else self._join(run, stop)

    def _lead(self, run: RunDirectory, stop: StopRequest) -> State | None:
        """Work on the run if it is free and not done; every other rank hears which."""
        with hold(run) as held:
            if held:
                clear_away(run)
            former = read_state(run)
            goes = held and former.state not in self.settled
            if find_meeting() is not None:
                told(goes)
            if not goes:
                return former.state if held else None
            return self._attempt(run, former, stop)

    def _join(self, run: RunDirectory, stop: StopRequest) -> None:
        """Do the part of a rank that writes nothing."""
        if not told(False):
            return
        try:
            self._execute(run, stop)
        except (KeyboardInterrupt, DivergedError):
            pass
        except BaseException as error:
            if not is_lost_rank(error):
                keep_traceback(run)
            # The others wait for this rank: whoever started them must see that it is gone.
            raise

    def _execute(self, run: RunDirectory, stop: StopRequest) -> bool:
        """Do the work; return whether it came to its end."""
        return function(self.execute)(run, self._parsed(), ShouldStop(stop, self.launcher))

    def _parsed(self) -> "Config":
        from tgdp.config import parse

        return parse(self.config)

    def checkpoint(self) -> Any:
        """Return what submitit is to queue again: the same job, which resumes by itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _attempt(self, run: RunDirectory, former: Status, stop: StopRequest) -> State:
        started = time.monotonic()
        try:
            _announce(run, former, self.config)
        except OSError as error:
            # Before anything could be written there: no event tells of it, but the status does.
            keep_traceback(run)
            attempt, said = former.attempt + 1, _one_line(error)
            run.set_status(replace(former, state="failed", attempt=attempt, error=said))
            return "failed"
        ending = self._work(run, stop)
        _settle(run, ending, former.seconds + time.monotonic() - started)
        return ending.state

    def _work(self, run: RunDirectory, stop: StopRequest) -> "_Ending":
        known = error_size(run)
        try:
            finished = self._execute(run, stop)
        except KeyboardInterrupt:
            return _Ending("interrupted")
        except DivergedError as error:
            return _Ending("diverged", str(error))
        except BaseException as error:
            if is_lost_rank(error):
                # A rank that fails keeps its traceback before it goes.
                cause = error_since(run, known)
                return _Ending("failed", f"on another rank: {cause}") if cause else _LOST
            keep_traceback(run)
            return _Ending("failed", _one_line(error), isinstance(error, UserError))
        return _Ending(self.leaves if finished else "interrupted")


class _Ending(NamedTuple):
    state: State
    error: str = ""
    mendable: bool = False


_LOST = _Ending("interrupted", "another of its processes is gone (killed, or out of memory?)")


def _announce(run: RunDirectory, former: Status, config: str) -> None:
    run.create(config)
    run.diverged_file.unlink(missing_ok=True)
    write_whole(run.config_file, config)
    _note_environment(run, former)
    if former.attempt:
        # A line torn by a crash must go before the next one is written behind it.
        run.forget_after(max(former.step, former.total_steps))
    attempt = former.attempt + 1
    status = replace(
        former,
        state="running",
        attempt=attempt,
        error="",
        mendable=False,
        lost_seconds=former.wasted_seconds,
        saved_seconds=former.seconds,
        updated=time.time(),
    )
    run.set_status(replace(status, host=os.uname().nodename, pid=os.getpid()))
    run.append({"kind": "state", "state": "running", "attempt": attempt})


def _note_environment(run: RunDirectory, former: Status) -> None:
    """Say where the work is done; where nothing is left to train, what was said of that stays."""
    from tgdp.sweep.environment import describe

    here = describe()
    if former.is_trained:
        with suppress(OSError, ValueError):
            trained = json.loads(run.environment_file.read_text(encoding="utf-8"))
            here = {**trained, "evaluation": here}
    write_whole(run.environment_file, json.dumps(here, indent=1))


def _settle(run: RunDirectory, ending: _Ending, seconds: float) -> None:
    status = run.status()
    settled = replace(status, **ending._asdict(), seconds=max(status.seconds, seconds))
    if not ending.error and status.saved == status.step:
        settled = replace(settled, saved_seconds=settled.seconds)
    if asdict(settled) != asdict(status):
        run.set_status(replace(settled, updated=time.time()))
    note = {"error": ending.error} if ending.error else {}
    run.append({"kind": "state", "state": ending.state, "attempt": status.attempt, **note})


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    if lines and isinstance(error, UserError):
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
