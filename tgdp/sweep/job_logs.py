"""What the jobs of a run have printed: on this machine or on a cluster, by attempt and by rank."""

import re
from dataclasses import dataclass
from pathlib import Path

from tgdp.errors import UserError
from tgdp.sweep.slurm.jobs import JobRecord, read
from tgdp.training.run_directory import RunDirectory

KINDS = ("out", "err")


@dataclass(frozen=True)
class Attempt:
    """A job of a run, and where it prints.

    Attributes:
        job: Its number: SLURM's, or of its process here.
        began: Unix time of its submission, or of its first file.
        stage: What it does; empty where that is not noted.
        folder: The folder of its files.
    """

    job: str
    began: float
    stage: str
    folder: Path

    def files(self, rank: int) -> tuple[Path, ...]:
        """Return where a rank prints, output and errors; those that are not there yet too."""
        names = [f"{self.job}_{rank}_log.{kind}" for kind in KINDS]
        return tuple(self.folder / name for name in names)

    def ranks(self) -> tuple[int, ...]:
        """Return the ranks that have printed something."""
        form = re.compile(rf"{re.escape(self.job)}_(\d+)_log\.(?:{'|'.join(KINDS)})")
        found = (form.fullmatch(path.name) for path in self.folder.glob("*_log.*"))
        return tuple(sorted({int(match[1]) for match in found if match}))


def attempts(run: RunDirectory) -> tuple[Attempt, ...]:
    """Return the jobs of a run, the oldest first; one that was requeued is one, and prints on."""
    clustered = [_of_record(record) for record in read(run)]
    known = {attempt.job for attempt in clustered}
    # submitit also makes a folder with the name of its own pattern.
    here = [_of_folder(path) for path in run.log.glob("[!%]*") if path.is_dir()]
    every = [*clustered, *(attempt for attempt in here if attempt.job not in known)]
    return tuple(sorted(every, key=lambda attempt: attempt.began))


def newest(run: RunDirectory) -> Attempt | None:
    """Return the newest job that has begun to print: those behind it may wait for ever."""
    return next((attempt for attempt in reversed(attempts(run)) if attempt.ranks()), None)


def choose(run: RunDirectory, number: int | None) -> Attempt:
    """Return one job of a run.

    Args:
        run: Its directory.
        number: Which, counted from 1; None is the newest that has begun to print, or if none has
            the first.

    Raises:
        UserError: There is none, or not so many.
    """
    every = attempts(run)
    if not every:
        raise UserError(f"{run.path}: no job of it has printed anything, none was ever started")
    if number is None:
        return newest(run) or every[0]
    if not 1 <= number <= len(every):
        listed = ", ".join(f"{i} ({one.job} {one.stage})" for i, one in enumerate(every, 1))
        raise UserError(f"--attempt {number}: {run.name} has {len(every)}: {listed}")
    return every[number - 1]


def check_rank(attempt: Attempt, rank: int) -> None:
    """Refuse a rank that printed nothing where others did.

    Raises:
        UserError: There is no such rank.
    """
    ranks = attempt.ranks()
    if ranks and rank not in ranks:
        valid = ", ".join(map(str, ranks))
        raise UserError(f"--rank {rank}: job {attempt.job} has ranks {valid}")


def _of_record(record: JobRecord) -> Attempt:
    log = Path(record.log)
    folder = log if log.is_dir() else log.parent
    return Attempt(record.job, record.submitted, record.stage, folder)


def _of_folder(folder: Path) -> Attempt:
    times = [path.stat().st_mtime for path in folder.iterdir()]
    return Attempt(folder.name, min(times, default=folder.stat().st_mtime), "", folder)
