"""Run directories into MLflow, as often as one likes: the second import changes nothing.

The run directory is the truth and MLflow is where people look (docs/design/0002-tracking.md).
Nothing else in the project imports mlflow; this module and `track_*` do, inside functions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tgdp.errors import UserError
from tgdp.sweep.declare import Cell, Sweep
from tgdp.sweep.track_run import Imported, import_run
from tgdp.sweep.track_store import Store, TrackedRun, opened
from tgdp.sweep.track_summary import (
    Summary,
    Update,
    base_hash,
    mark_members,
    register,
    summaries,
    write_update,
)
from tgdp.training.run_directory import RunDirectory


@dataclass(frozen=True)
class SyncReport:
    """What a sync did.

    Attributes:
        uri: Where the store is.
        experiment_id: The experiment that holds the runs.
        created: Runs that are new in the store.
        updated: Runs that had moved on.
        replaced: Runs whose stored points no longer agreed with their folder.
        unchanged: Runs that had not moved.
        points: Metric points written.
        skipped: A line for each folder that could not be read.
        base: Hash of the base, where a sweep was synced.
    """

    uri: str
    experiment_id: str
    created: int = 0
    updated: int = 0
    replaced: int = 0
    unchanged: int = 0
    points: int = 0
    skipped: tuple[str, ...] = ()
    base: str | None = None

    def __str__(self) -> str:
        """Return the report in one line."""
        words = [f"{self.created} new", f"{self.updated} updated", f"{self.unchanged} unchanged"]
        if self.replaced:
            words.append(f"{self.replaced} replaced")
        if self.skipped:
            words.append(f"{len(self.skipped)} skipped")
        return f"{', '.join(words)}, {self.points} points written to {self.uri}"


@dataclass(frozen=True)
class Tracked:
    """Everything the reports read.

    Attributes:
        uri: Where the store is.
        experiment_id: The experiment that holds the runs.
        runs: The runs by signature.
        summaries: The tables that were asked for, newest first.
    """

    uri: str
    experiment_id: str
    runs: Mapping[str, TrackedRun] = field(default_factory=dict[str, TrackedRun])
    summaries: tuple[Summary, ...] = ()


def sync(
    results: Path,
    runs: Sequence[Path] | None = None,
    progress: Callable[[str], None] | None = None,
) -> SyncReport:
    """Bring run directories into the tracking store.

    Args:
        results: The results folder.
        runs: The run directories; every one in `results/runs` if None.
        progress: Called with the name of each run before it is imported.

    Raises:
        UserError: The store cannot be reached or opened. Training never depends on it: catch it.
    """
    with opened(results) as store:
        known = _known(store)
        report = _import_all(store, _folders(results, runs), known, {}, progress)
        for summary in summaries(store):
            mark_members(store, summary, known)
        return report


def sync_sweep(
    results: Path,
    sweep: Sweep,
    cells: Sequence[Cell],
    base_words: str = "",
    progress: Callable[[str], None] | None = None,
) -> SyncReport:
    """Bring the runs of a sweep into the store and write down which table they belong to.

    Args:
        results: The results folder.
        sweep: The declaration.
        cells: Its runs, from `expand`; those not started yet count as wanted.
        base_words: The base in words for people, for example `tiny on embedded`.
        progress: Called with the name of each run before it is imported.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    names = {cell.signature: _run_name(sweep, cell, base_words) for cell in cells}
    folders = [path for path in (results / "runs" / name for name in names) if path.is_dir()]
    with opened(results) as store:
        known = _known(store)
        report = _import_all(store, folders, known, names, progress)
        summary = register(store, sweep, cells, base_words)
        mark_members(store, summary, known)
    return replace(report, base=base_hash(sweep, cells))


def read(results: Path) -> Tracked:
    """Return what the store holds, without importing anything.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    with opened(results) as store:
        return Tracked(store.uri, store.experiment_id, _known(store), summaries(store))


def publish(results: Path, updates: Sequence[Update], tags: Mapping[str, str]) -> None:
    """Write what the reports made back into the store, where it differs from what is there.

    Args:
        results: The results folder.
        updates: New contents of summary runs.
        tags: Tags of the experiment: its note and its saved views.

    Raises:
        UserError: The store cannot be reached or opened.
    """
    with opened(results) as store:
        for update in updates:
            write_update(store, update)
        held = store.client.get_experiment(store.experiment_id).tags
        for key, value in tags.items():
            if held.get(key) != value:
                store.client.set_experiment_tag(store.experiment_id, key, value)


def _known(store: Store) -> dict[str, TrackedRun]:
    known: dict[str, TrackedRun] = {}
    for run in store.runs("cell"):
        known.setdefault(run.tags.get("tgdp.signature", ""), run)
    return known


def _folders(results: Path, runs: Sequence[Path] | None) -> list[Path]:
    if runs is not None:
        return list(runs)
    folder = results / "runs"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _import_all(
    store: Store,
    folders: Sequence[Path],
    known: dict[str, TrackedRun],
    names: Mapping[str, str],
    progress: Callable[[str], None] | None,
) -> SyncReport:
    done: list[Imported] = []
    skipped: list[str] = []
    for directory in (RunDirectory(path) for path in folders):
        if not directory.config_file.exists():
            continue  # A job is just making it.
        if progress:
            progress(directory.name)
        name = names.get(directory.name)
        try:
            imported = import_run(store, directory, known.get(directory.name), name)
        except (UserError, ValueError, KeyError, TypeError, OSError) as error:
            skipped.append(f"{directory.path}: {error}")
            continue
        known[directory.name] = imported.run
        done.append(imported)
    changes = [imported.change for imported in done]
    return SyncReport(
        store.uri,
        store.experiment_id,
        created=changes.count("created"),
        updated=changes.count("updated"),
        replaced=changes.count("replaced"),
        unchanged=changes.count("unchanged"),
        points=sum(imported.points for imported in done),
        skipped=(*skipped, *store.problems),
    )


def _run_name(sweep: Sweep, cell: Cell, base_words: str) -> str:
    what = f"{sweep.key.rsplit('.', 1)[-1]}=" if sweep.key else ""
    # What tells runs apart comes first: the UI cuts names.
    return f"{what}{cell.variant.label} seed={cell.seed} {base_words or sweep.name}"
