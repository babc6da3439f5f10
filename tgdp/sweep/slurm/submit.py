"""What a plan has left, given to a cluster: the command that does it ends, the jobs go on.

A submission has a folder of its own, `<results>/.submissions/<time>-<number>`: `submission.json`
says by whom and of what it was made; a folder a job holds what submitit keeps, and what it prints.
"""

import json
import secrets
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep.plan import Plan
from tgdp.sweep.slurm.groups import Chosen, Group, choose, config_text, make_groups, make_jobs
from tgdp.sweep.slurm.jobs import JobRecord, StageName, append
from tgdp.sweep.slurm.marks import FACTS_FILE, cancel_unnoted, mark_of
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.sbatch import script_text, submit_jobs
from tgdp.sweep.slurm.script import Asked, parameters
from tgdp.sweep.slurm.snapshot import PRIVATE, Snapshot, look, make_private, take
from tgdp.sweep.slurm.steps import Key, Step, at_once, make_steps
from tgdp.sweep.slurm.user import user_name
from tgdp.sweep.stages import IN_TWO, Stages

FOLDER = ".submissions"

LOCK_PATIENCE_S = 600
"""Two launches at a time would submit everything twice; the second one waits for the first."""


class Submitted(NamedTuple):
    """Jobs that were submitted together.

    Attributes:
        stage: What they do.
        jobs: Their numbers, one for each run.
        runs: The signatures of the runs.
        waits: On what they wait, in SLURM's words; empty for nothing.
    """

    stage: StageName
    jobs: tuple[str, ...]
    runs: tuple[str, ...]
    waits: str = ""

    @property
    def number(self) -> str:
        """The number that stands for all of them: of the array, or of the only one."""
        return self.jobs[0].partition("_")[0]


@dataclass(frozen=True)
class Submission:
    """What came of a submission.

    Attributes:
        folder: Its folder; None where nothing was submitted.
        submitted: The jobs, in the order in which they were submitted.
        taken: Runs that were left alone, and why.
        snapshot: The code that the jobs run.
    """

    folder: Path | None
    submitted: tuple[Submitted, ...]
    taken: dict[str, str]
    snapshot: Snapshot


@dataclass(frozen=True)
class _Order:
    """What every call of `sbatch` of a submission has in common."""

    sweep: str
    groups: list[Group]
    profile: Profile
    folder: Path
    snapshot: Snapshot

    def words(self, step: Step, numbers: dict[Key, str]) -> dict[str, object]:
        mark = mark_of(self.folder, step.key)
        waits, limit = step.dependency(numbers), at_once(self.groups, step.key.group, self.profile)
        asked = Asked(self.sweep, step.key.stage, mark, waits, limit)
        return parameters(self.profile, asked, self.snapshot.folder)


def submit(
    plan: Plan, profile: Profile, results: Path, largest: int, stages: Stages = IN_TWO
) -> Submission:
    """Submit what a plan has left, and note every job with its run.

    Args:
        plan: What is to be done.
        profile: Where and how.
        results: The results folder.
        largest: Elements that an array of the cluster may have.
        stages: What the jobs of a run do.

    Raises:
        UserError: The cluster refuses a job, or nothing can be written.
    """
    from filelock import FileLock, Timeout

    root = results.resolve() / FOLDER
    try:
        make_private(root)
        with FileLock(root / "lock", timeout=LOCK_PATIENCE_S):
            # Under the lock: what another launch submitted just now is seen.
            cancel_unnoted(root)
            chosen = choose(plan.todo())
            groups = _groups(chosen, profile, largest)
            if not groups:
                return Submission(None, (), chosen.taken, Snapshot(None))
            folder = root / _stamp()
            order = _Order(plan.sweep.name, groups, profile, folder, take(results))
            folder.mkdir(mode=PRIVATE)
            _describe(order, {})
            return Submission(folder, _submit_all(order, stages), chosen.taken, order.snapshot)
    except PermissionError as error:
        raise UserError(
            f"{error.filename}: another user's; take a results folder of your own: --results DIR"
        ) from error
    except Timeout as error:
        raise UserError(
            f"{root / 'lock'}: another launch has been submitting for {LOCK_PATIENCE_S} s; "
            "try again when it has ended"
        ) from error


def scripts(plan: Plan, profile: Profile, results: Path, largest: int) -> list[tuple[str, str]]:
    """Return what would be submitted, as a title and the text for `sbatch`; nothing is written.

    Args:
        plan: What is to be done.
        profile: Where and how.
        results: The results folder.
        largest: Elements that an array of the cluster may have.

    Raises:
        UserError: git fails.
    """
    folder = results.resolve() / FOLDER / _stamp()
    groups = _groups(choose(plan.todo()), profile, largest)
    order = _Order(plan.sweep.name, groups, profile, folder, look(results))
    shown: list[tuple[str, str]] = []
    numbers: dict[Key, str] = {}
    for step in make_steps(groups, profile):
        number, name = len(step.group.runs), f"NUMBER_{len(shown) + 1}"
        text = script_text(folder, order.words(step, numbers), number)
        shown.append((f"{name}: {step.key.stage}, {number} run{'s' * (number != 1)}", text))
        numbers[step.key] = name
    return shown


def _groups(chosen: Chosen, profile: Profile, largest: int) -> list[Group]:
    # `afterany` has no form that goes element by element, so a chain is of jobs without an array.
    largest = 1 if profile.requeue == "chain" else largest
    return [*chosen.behind, *make_groups(chosen.free, largest)]


def _submit_all(order: _Order, stages: Stages) -> tuple[Submitted, ...]:
    done: list[Submitted] = []
    numbers: dict[Key, str] = {}
    for step in make_steps(order.groups, order.profile):
        former = done[-1].jobs if step.key.attempt else ()
        jobs = _submit_step(order, step, numbers, (stages, former))
        names = tuple(run.cell.signature for run in step.group.runs)
        done.append(Submitted(step.key.stage, jobs, names, step.dependency(numbers)))
        numbers[step.key] = done[-1].number
        _describe(order, numbers)
    return tuple(done)


def _submit_step(
    order: _Order, step: Step, numbers: dict[Key, str], how: tuple[Stages, Sequence[str]]
) -> tuple[str, ...]:
    tasks = make_jobs(step.group, step.key.stage, order.profile, *how)
    try:
        jobs = submit_jobs(order.folder, order.words(step, numbers), tasks)
    except UserError as error:
        profile = f"profile '{order.profile.name}'"
        if not numbers:
            _remove(order.folder)
            raise UserError(f"{error} ({profile})") from error
        raise UserError(
            f"{error} ({profile}). In the queue already, and left there: "
            f"{', '.join(numbers.values())}. When the cluster takes more, the same command submits "
            "the rest"
        ) from error
    _note(order, step, jobs)
    return jobs


def _note(order: _Order, step: Step, jobs: Sequence[str]) -> None:
    """Write down the job of each run: before anything else, so that none is forgotten."""
    now, user, folder = time.time(), user_name(), order.folder
    own = order.profile.of(step.key.stage)
    for planned, job in zip(step.group.runs, jobs, strict=True):
        array = job.partition("_")[0] if "_" in job else None
        where = (str(folder), str(folder / job / f"{job}_0_log.out"))
        stage, name = step.key.stage, order.profile.name
        # Not before: what the cluster refuses leaves no folder.
        planned.run.create(config_text(planned, own))
        record = JobRecord(job, array, stage, name, now, user, *where, own.signal_ahead)
        append(planned.run, record)
    for planned, job in zip(step.group.runs, jobs, strict=True):
        # So that what a run's jobs print is found below the run, wherever they were started.
        link = planned.run.log / job
        # A cluster that was set up anew begins its numbers again.
        link.unlink(missing_ok=True)
        link.symlink_to(folder / job)


def _describe(order: _Order, numbers: Mapping[Key, str]) -> None:
    """Write down what this is, and which of its jobs are noted with their runs."""
    facts = {
        "sweep": order.sweep,
        "profile": order.profile.model_dump(mode="json", exclude_unset=True),
        "command": shlex.join(sys.argv),
        "snapshot": str(order.snapshot.folder) if order.snapshot.folder else None,
        "commit": order.snapshot.commit,
        "submitted": time.time(),
        "jobs": {str(key): number for key, number in numbers.items()},
    }
    write_whole(order.folder / FACTS_FILE, json.dumps(facts, indent=1))


def _stamp() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
