"""A stage of a run as a job of a cluster: what comes before the work there, and what after it.

SLURM is told the truth: a job that did not do its work ends with an error, so that the evaluation
that waits for it is not started. One that was asked to go, and has saved, is queued again.
"""

import logging
import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tgdp.errors import UserError
from tgdp.sweep.hold import speak
from tgdp.sweep.job import Job
from tgdp.sweep.logs import error_size, tracebacks_since
from tgdp.sweep.machine import count_cores
from tgdp.sweep.probe_job import ProbeJob
from tgdp.sweep.slurm.jobs import JobRecord, StageName, append, read
from tgdp.sweep.slurm.requeue import cancel, has_restarted, job_number, put_back, was_cancelled
from tgdp.sweep.state import is_held, read_state
from tgdp.sweep.stop import StopRequest, stop_on_signals
from tgdp.training.ranks import find_meeting
from tgdp.training.run_directory import ENDED_BADLY, RunDirectory

LOCK_PATIENCE_S = 600.0
"""A lock on a shared folder outlives a node that failed; the server lets go of it after a while."""

SETTLED = frozenset({"trained", "done"})
"""States in which no job of a training is needed any more."""

LEFT = 75
"""Exit code of a job that saved and left. Source: sysexits.h, EX_TEMPFAIL."""

log = logging.getLogger(__name__)


class StageFailedError(Exception):
    """A stage did not come to its end, and would not in another attempt; holds the traceback."""


@dataclass(frozen=True)
class ClusterJob:
    """Does one stage of one run; holds only words, as the job in it does.

    Attributes:
        work: The stage, as it is done anywhere.
        stage: Which it is.
        profile: Name of the profile it was submitted with.
        restarts: Jobs that the run may use up; 0 where it must not be queued again.
        former: Job that this one succeeds, if that one had to go; empty for a stage's first.
    """

    work: Job | ProbeJob
    stage: StageName
    profile: str
    restarts: int = 0
    former: str = ""

    def __call__(self) -> str:
        """Work on the run; on several ranks each calls this.

        Returns:
            How it ended, in a word.

        Raises:
            StageFailedError: The stage failed, or what it starts from is not there.
            SystemExit: It saved and left, because somebody asked it to.
        """
        speak()
        run = RunDirectory(Path(self.work.directory))
        with stop_on_signals(StopRequest()) as heard:
            if (why := self._needless(run)) is not None:
                return self._leave_it(run, why)
            if _is_first():
                self._prepare(run, heard)
            known = error_size(run)
            left = self.work()
            return self._ended(run, left, heard(), known) if _is_first() else "another rank's"

    def checkpoint(self) -> Any:
        """Return what submitit is to queue again, should the signal come before the work began."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _leave_it(self, run: RunDirectory, why: str) -> str:
        """Do nothing; what waits for this job starts only if the run is trained."""
        log.info("nothing to do: %s", why)
        if _is_first():
            self._cancel_successors(run)
        if why not in SETTLED:
            sys.exit(LEFT)
        return why

    def _cancel_successors(self, run: RunDirectory) -> None:
        """Take the jobs out of the queue that would have succeeded this one."""
        if later := self._successors(run):
            log.info("not needed any more: %s", ", ".join(later))
            cancel(later)

    def _successors(self, run: RunDirectory) -> list[str]:
        if self.restarts:
            return []
        number = job_number()
        own = [job for job in read(run) if job.stage == self.stage]
        place = next((n for n, job in enumerate(own) if job.job == number), len(own))
        return [job.job for job in own[place + 1 :] if job.folder == own[place].folder]

    def _needless(self, run: RunDirectory) -> str | None:
        """Return why a job that waited for another has nothing to do; None where it has."""
        if not self.former:
            return None
        state = read_state(run).state
        if state in ENDED_BADLY:
            return state
        settled = self.work.settled if isinstance(self.work, Job) else ()
        if state in settled or (self.stage != "probe" and state == "done"):
            return state
        # One rank asks for all; if it leaves with an error, `--kill-on-bad-exit` ends the others.
        return "cancelled" if _is_first() and was_cancelled(self.former) else None

    def _prepare(self, run: RunDirectory, heard: StopRequest) -> None:
        """See to it that the work can begin; of several ranks only the first does."""
        status = read_state(run)
        if self.stage == "evaluate" and not (status.is_trained or status.state == "done"):
            raise StageFailedError(f"{run.path}: is {status.state}, not trained: cannot evaluate")
        if self.stage == "probe" and status.state != "done":
            raise StageFailedError(f"{run.path}: is {status.state}, not done: nothing to probe")
        if has_restarted() and self.restarts and status.attempt >= self.restarts:
            # SLURM has queued it again by itself, which nobody counts but here.
            raise StageFailedError(f"{run.path}: {self.restarts} jobs are all that it may use up")
        _clear_stray()
        self._register(run)
        if self.stage == "train":
            _ensure_data(self.work.config)
        deadline = time.monotonic() + LOCK_PATIENCE_S
        goes_on = has_restarted() or self.former
        while goes_on and is_held(run) and not heard() and time.monotonic() < deadline:
            time.sleep(1.0)

    def _register(self, run: RunDirectory) -> None:
        """Note this job with its run, should who submitted it have died before it could."""
        number = job_number()
        if not number or not run.path.is_dir():
            return
        if all(record.job != number for record in read(run)):
            folder = os.environ.get("SUBMITIT_FOLDER", "")
            array = os.environ.get("SLURM_ARRAY_JOB_ID")
            where = (str(Path(folder).parent), f"{folder.replace('%j', number)}/{number}_0_log.out")
            user = os.environ.get("USER", "")
            append(
                run,
                JobRecord(number, array, self.stage, self.profile, time.time(), user, *where),
            )

    def _ended(self, run: RunDirectory, left: object, asked: bool, known: int) -> str:
        status = read_state(run)
        if left is None:
            log.warning("%s: another job works on it; this one leaves it alone", run.path)
            # Nothing was done, so nothing that waits for this may start.
            sys.exit(LEFT)
        if status.state in (*SETTLED, *ENDED_BADLY):
            self._cancel_successors(run)
        if left == 0 or (status.state == "done" and self.stage != "probe"):
            return "done"
        if self.stage == "train" and status.state == "trained":
            return "trained"
        if asked and not status.error:
            self._leave(run, status.attempt)
        raise StageFailedError(
            f"{run.path}: {status.error or 'failed'}\n{tracebacks_since(run, known)}"
        )

    def _leave(self, run: RunDirectory, attempts: int) -> None:
        """Leave a run that is saved; queued again where that is allowed."""
        if not self.restarts:
            self._leave_to_successors(run)
        elif attempts >= self.restarts:
            _say_why(run, f"saved; {self.restarts} jobs are all that it may use up (`restarts`)")
        else:
            put_back()
        # Without a result: to submitit, and to SLURM, this is not the end of it.
        sys.stdout.flush()
        sys.exit(LEFT)

    def _leave_to_successors(self, run: RunDirectory) -> None:
        if self._successors(run):
            log.info("saved; a successor goes on")
        elif self.former:
            _say_why(run, "saved; the jobs of its chain are used up (`successors`)")
        else:
            log.info("saved; not queued again")


def _say_why(run: RunDirectory, why: str) -> None:
    log.error("%s", why)
    status = run.status()
    run.set_status(replace(status, error=f"{why}; the same command goes on"))


def _ensure_data(config: str) -> None:
    """Make the embedded benchmark, where a run wants it and it is not there.

    Here, because a login node is no place for minutes of work. Of several jobs one makes it.
    """
    from tgdp.config import parse
    from tgdp.data.synthetic.spec import EMBEDDED

    data = parse(config).data
    if data.fingerprint != EMBEDDED.fingerprint or data.folder is None:
        return
    from tgdp.data.synthetic.embedded import ensure

    cores = int(os.environ.get("SLURM_CPUS_PER_TASK") or 1)
    if not Path(data.folder).exists():
        log.info("%s: made first, which takes minutes", data.folder)
    try:
        ensure(Path(data.folder), min(cores, count_cores()))
    except UserError as error:
        raise StageFailedError(f"the embedded benchmark cannot be made: {error}") from error


def _is_first() -> bool:
    meeting = find_meeting()
    return meeting is None or meeting.ranks.is_first


def _clear_stray() -> None:
    """Remove what a kill in the middle of a write left: submitit would refuse to write again."""
    folder = os.environ.get("SUBMITIT_FOLDER", "").replace("%j", job_number())
    if folder:
        for path in Path(folder).glob("*.save_tmp"):
            path.unlink(missing_ok=True)
