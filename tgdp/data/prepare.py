"""From a list of media files to a prepared folder: many decoders, one writer, in order.

The writer sees the clips in the order of the manifest whatever the number of workers, so the shards
are the same bytes; `dataset.json` is written last, so a folder that has it is whole.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tgdp.data.card import CARD_FILE, REQUEST_FILE, DatasetCard, PrepareSettings, read_card
from tgdp.data.files import write_whole
from tgdp.data.index import failures_csv, write_tables
from tgdp.data.manifest import Clip, Manifest
from tgdp.data.pack import PackedClip, failure, pack_clip
from tgdp.data.pool import OrderedPool, WorkerDiedError
from tgdp.data.shard_writer import ShardWriter
from tgdp.errors import UserError

LOCK_FILE = "prepare.lock"
TABLES = (CARD_FILE, REQUEST_FILE, "samples.jsonl", "index.npz", "labels.csv", "failures.csv")


@dataclass(frozen=True)
class Progress:
    """How far a preparation is.

    Attributes:
        done: Clips seen, those of earlier attempts included.
        total: Clips asked for.
        failures: Clips that could not be read.
        fresh: Clips seen by this attempt.
        seconds: Since this attempt started.
    """

    done: int
    total: int
    failures: int
    fresh: int
    seconds: float

    @property
    def rate(self) -> float:
        """Clips a second of this attempt."""
        return self.fresh / self.seconds if self.seconds > 0 else 0.0


def prepare(
    manifest: Manifest,
    out: Path,
    settings: PrepareSettings | None = None,
    *,
    workers: int = 1,
    restart: bool = False,
    report: Callable[[Progress], None] = lambda progress: None,
) -> DatasetCard:
    """Prepare every clip of a manifest and return the card of the folder.

    A preparation that was stopped goes on where it was; one that is finished is left as it is.

    Args:
        manifest: The clips; its name, or else the folder's, is used in metric names.
        out: Folder to write.
        settings: How clips are stored.
        workers: Processes that decode.
        restart: Throw away what an earlier preparation left.
        report: Called after every clip.

    Raises:
        UserError: The folder holds something else or another preparation, is in use or cannot be
            written, or no clip could be read.
    """
    settings = settings or PrepareSettings()
    name = _valid_name(manifest.name or _slug(out))
    with _writing(out), _locked(out):
        if restart and (out / REQUEST_FILE).exists():
            clear(out)
        request = {"name": name, **asdict(settings), **_identity(manifest)}
        _check_request(out, manifest, request)
        if not (out / CARD_FILE).exists():
            _prepare(manifest, out, settings, name, _Run(workers, report))
    return read_card(out)


@dataclass(frozen=True)
class _Run:
    workers: int
    report: Callable[[Progress], None]


def clear(out: Path) -> None:
    """Remove what a preparation wrote, and nothing else."""
    for table in TABLES:
        (out / table).unlink(missing_ok=True)
    shutil.rmtree(out / "shards", ignore_errors=True)


def _prepare(
    manifest: Manifest, out: Path, settings: PrepareSettings, name: str, run: _Run
) -> None:
    writer = ShardWriter(out / "shards", settings.shard_clips)
    pool = OrderedPool(pack_clip, run.workers)
    try:
        _write_clips(writer, pool, manifest.clips, settings, run.report)
        _refuse_nothing(manifest, out, writer)
        writer.finish()
    finally:
        pool.stop()
        writer.close()
    write_tables(
        out, writer.journal, manifest.vocabulary, settings, name=name, source=manifest.source
    )
    writer.forget_journal()


def _refuse_nothing(manifest: Manifest, out: Path, writer: ShardWriter) -> None:
    failures = [line for line in writer.journal if "end" not in line]
    if len(failures) < len(manifest.clips):
        return
    write_whole(out / "failures.csv", failures_csv(failures))
    raise UserError(
        f"{manifest.file}: none of {len(failures)} clips could be read (the first: "
        f"{failures[0]['reason']}); see {out / 'failures.csv'}, then start again with --restart"
    )


def _write_clips(
    writer: ShardWriter,
    pool: OrderedPool[tuple[Clip, PrepareSettings], PackedClip],
    clips: tuple[Clip, ...],
    settings: PrepareSettings,
    report: Callable[[Progress], None],
) -> None:
    earlier = len(writer.journal)
    failures = sum("end" not in line for line in writer.journal)
    todo = clips[earlier:]
    started = time.monotonic()
    report(Progress(earlier, len(clips), failures, 0, 0.0))
    for fresh, result in enumerate(_packed(pool, todo, settings), 1):
        if result.members:
            writer.write_clip(result.members, result.record)
        else:
            writer.write_failure(result.record)
            failures += 1
        elapsed = time.monotonic() - started
        report(Progress(earlier + fresh, len(clips), failures, fresh, elapsed))


def _packed(
    pool: OrderedPool[tuple[Clip, PrepareSettings], PackedClip],
    clips: tuple[Clip, ...],
    settings: PrepareSettings,
) -> Iterator[PackedClip]:
    jobs = [(clip, settings) for clip in clips]
    for clip, result in zip(clips, pool.results(jobs), strict=True):
        if isinstance(result, WorkerDiedError):
            record: dict[str, Any] = {"id": clip.id, "split": clip.split, "labels": clip.labels}
            yield failure({**record, "bytes": 0}, clip, f"the decoder crashed ({result})")
        else:
            yield result


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into an error the user can mend."""
    try:
        yield
    except OSError as error:
        where = error.filename or out / "shards"
        raise UserError(
            f"{where}: cannot be written ({error.strerror or error}); what is finished is kept, "
            "the same command goes on from there"
        ) from error


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{out}: another `tgdp-data prepare` is writing this folder") from None
    try:
        yield
    finally:
        lock.release()


def _identity(manifest: Manifest) -> dict[str, Any]:
    clips = [[c.id, str(c.path), str(c.frames or ""), c.labels, c.split] for c in manifest.clips]
    content = json.dumps([clips, manifest.vocabulary.mids, manifest.source], sort_keys=True)
    return {"manifest": hashlib.sha256(content.encode()).hexdigest()[:16]}


def _check_request(out: Path, manifest: Manifest, request: dict[str, Any]) -> None:
    file = out / REQUEST_FILE
    if not file.exists():
        others = sorted(path.name for path in out.iterdir() if path.name != LOCK_FILE)
        if others:
            raise UserError(f"{out}: not empty (it holds {others[0]}); choose another folder")
        write_whole(file, json.dumps(request, indent=2) + "\n")
        return
    earlier = json.loads(file.read_text(encoding="utf-8"))
    changed = [key for key in request if earlier.get(key) != request[key]]
    if changed:
        words = [_difference(key, earlier.get(key), request[key], manifest) for key in changed]
        raise UserError(
            f"{out}: prepared otherwise before: {'; '.join(words)}. "
            "Ask for the same, choose another folder, or throw that away with --restart"
        )


def _difference(key: str, before: Any, now: Any, manifest: Manifest) -> str:
    if key == "manifest":
        return f"{manifest.file} lists other clips, labels or paths"
    return f"--{key.replace('_', '-')} was {before} and is now {now}"


def _slug(out: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", out.resolve().name.lower()).strip("-") or "data"


def _valid_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise UserError(f"--name '{name}': use lower-case letters, digits, '-' and '_' only")
    return name
