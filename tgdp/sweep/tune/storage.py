"""Where a study is kept: a journal on the shared folder, or a database."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tgdp.errors import UserError
from tgdp.sweep.tune.declare import Direction
from tgdp.sweep.tune.task import Task

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage
    from optuna.study import StudyDirection

FOLDER = "studies"


def place(task: Task, url: str | None) -> str:
    """Return where a study is kept, in words for people; a password is not among them."""
    if url is None:
        return str(journal_file(task))
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def journal_file(task: Task) -> Path:
    """Return the journal of a study."""
    return task.results / FOLDER / f"{task.name}.log"


def read_study(task: Task, url: str | None) -> "Kept | None":
    """Return the study, or None where it is not there yet; nothing is written.

    Raises:
        UserError: The storage cannot be opened; a driver that is missing is named.
    """
    file = journal_file(task) if url is None else _sqlite_file(url)
    if file is not None and not file.exists():
        return None
    return _loaded(task, _journal(task) if url is None else _opened(url), None)


def open_study(task: Task, url: str | None, sampler: "BaseSampler") -> "Kept":
    """Return the study, made if it is not there yet.

    Args:
        task: Whose study.
        url: `postgresql://...`, `sqlite:///...`; a journal in the results folder if None.
        sampler: What proposes points.

    Raises:
        UserError: The storage cannot be opened; a driver that is missing is named.
    """
    import optuna

    if url is None:
        _make_ready(task)
    storage = _journal(task) if url is None else _opened(url)
    found = _loaded(task, storage, sampler)
    if found is not None:
        return found
    directions: list[Direction | StudyDirection] = [
        objective.direction for objective in task.study.objectives
    ]
    study = optuna.create_study(
        study_name=task.name, storage=storage, sampler=sampler, directions=directions
    )
    return Kept(study, storage, storage.get_study_id_from_name(task.name))


def _loaded(task: Task, storage: "BaseStorage", sampler: "BaseSampler | None") -> "Kept | None":
    import optuna

    names = {study.study_name for study in storage.get_all_studies()}
    if task.name not in names:
        return None
    study = optuna.load_study(study_name=task.name, storage=storage, sampler=sampler)
    return Kept(study, storage, storage.get_study_id_from_name(task.name))


class Kept:
    """A study and the storage below it.

    Args:
        study: As optuna has it.
        storage: Where it is.
        number: Of the study in the storage.
    """

    def __init__(self, study: "optuna.Study", storage: "BaseStorage", number: int) -> None:
        self.study = study
        self.storage = storage
        self._number = number

    def trial_id(self, number: int) -> int:
        """Return what the storage calls a trial."""
        return self.storage.get_trial_id_from_study_id_trial_number(self._number, number)


def mend(file: Path) -> None:
    """Cut off a last line that a killed process left half written.

    The next line would be written behind it, and optuna reads no journal beyond a broken line.
    """
    try:
        with file.open("r+b") as opened:
            text = opened.read()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                opened.truncate(whole)
                os.fsync(opened.fileno())
    except FileNotFoundError:
        return


def _make_ready(task: Task) -> None:
    path = journal_file(task)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        mend(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def _journal(task: Task) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    _quiet()
    path = str(journal_file(task))
    # The lock is a file created exclusively: that holds over NFS (version 3 and later). The other
    # one is a symbolic link, which some shared file systems refuse; where the path is relative it
    # points nowhere, and what a killed process left of it is never cleared away.
    return JournalStorage(JournalFileBackend(path, JournalFileOpenLock(path)))


def _opened(url: str) -> "BaseStorage":
    from optuna.storages import get_storage
    from sqlalchemy.exc import SQLAlchemyError

    if "://" not in url:
        raise UserError(f"--storage {url}: expected a URL: sqlite:///FILE or postgresql://...")
    _quiet()
    shown = f"--storage {url.partition('://')[0]}://..."
    try:
        return get_storage(url)
    except ImportError as error:
        missing = error.__cause__ or error
        raise UserError(f"{shown}: its driver is missing ({missing}); install it") from error
    except (SQLAlchemyError, ValueError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{shown}: cannot be opened: {lines[0]}") from error


def _sqlite_file(url: str) -> Path | None:
    scheme, _, rest = url.partition(":///")
    return Path(rest) if scheme.partition("+")[0] == "sqlite" and rest else None


def _quiet() -> None:
    from optuna import logging

    logging.set_verbosity(logging.WARNING)
