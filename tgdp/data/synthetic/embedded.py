"""The embedded benchmark, made and prepared once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tgdp.data.card import CARD_FILE, read_card
from tgdp.data.manifest import read_manifest
from tgdp.data.prepare import Progress, prepare
from tgdp.data.synthetic.benchmark import write_benchmark
from tgdp.data.synthetic.spec import EMBEDDED, EMBEDDED_STORAGE, SynthSpec
from tgdp.errors import UserError

log = logging.getLogger(__name__)

Report = Callable[[str, int, int], None]


def ensure(
    folder: Path,
    workers: int,
    report: Report = lambda stage, done, total: None,
    spec: SynthSpec = EMBEDDED,
) -> Path:
    """Make the embedded benchmark and prepare it, if it is not there.

    Of several processes that want it one makes it, and the others wait.

    Args:
        folder: Prepared folder to write; the clips themselves go beside it, `<folder>-clips`.
        workers: Processes.
        report: Called with the stage ("making", "preparing"), clips done and clips in all.
        spec: What to make.

    Raises:
        UserError: The folder holds other data, or cannot be written.
    """
    if not (folder / CARD_FILE).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if not (folder / CARD_FILE).exists():
                _make(folder, workers, report, spec)
    found = read_card(folder).fingerprint
    if found != spec.fingerprint:
        raise UserError(
            f"{folder / CARD_FILE}: field 'fingerprint' is {found}, but this version's benchmark "
            f"is {spec.fingerprint}; remove {folder} and {folder.name}-clips beside it, and start "
            "again"
        )
    return folder


def _make(folder: Path, workers: int, report: Report, spec: SynthSpec) -> None:
    clips = folder.with_name(f"{folder.name}-clips")
    manifest = write_benchmark(
        clips, spec, workers=workers, report=lambda done, total: report("making", done, total)
    )

    def preparing(now: Progress) -> None:
        report("preparing", now.done, now.total)

    prepare(read_manifest(manifest), folder, EMBEDDED_STORAGE, workers=workers, report=preparing)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("%s: another process is making it; waiting", folder)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
