"""The embedded benchmark on disk: clips, label list, and manifests in CAV-MAE's form."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tgdp.data.files import write_whole
from tgdp.data.pool import OrderedPool, WorkerDiedError
from tgdp.data.synthetic.factors import draw_clip
from tgdp.data.synthetic.pictures import render
from tgdp.data.synthetic.sounds import SAMPLE_RATE, synthesise
from tgdp.data.synthetic.spec import CLASSES, SynthSpec
from tgdp.data.synthetic.video import write_video
from tgdp.errors import UserError

MANIFEST = "manifest.json"
LABELS = "class_labels_indices.csv"
CLIPS_A_TASK = 16


@dataclass(frozen=True)
class Task:
    """A stretch of one split for one worker."""

    folder: Path
    spec: SynthSpec
    split: str
    indices: range


def write_benchmark(
    out: Path,
    spec: SynthSpec,
    *,
    workers: int = 1,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write every clip and the manifests, and return the manifest of all splits.

    Clips that are there already are kept, so a stopped generation goes on where it was.

    Args:
        out: Folder to write: `clips/`, `manifest.json`, `<split>.json`, the label CSV.
        spec: What to make; equal specs give equal files.
        workers: Processes.
        report: Called with clips done and clips in all.

    Raises:
        UserError: The folder holds a benchmark of another spec, or cannot be written.
    """
    try:
        (out / "clips").mkdir(parents=True, exist_ok=True)
        _check_spec(out, spec)
        _write_clips(out, spec, workers, report)
        write_whole(out / LABELS, _label_csv())
        for split in spec.splits:
            write_whole(out / f"{split}.json", _manifest(spec, [split]))
        write_whole(out / MANIFEST, _manifest(spec, list(spec.splits)))
    except OSError as error:
        where = error.filename or out
        raise UserError(
            f"{where}: cannot be written ({error.strerror or error}); the clips made so far are "
            "kept, the same command goes on from there"
        ) from error
    return out / MANIFEST


def clip_id(split: str, index: int) -> str:
    """Return the id of a clip."""
    return f"{split}-{index:05d}"


def make_clips(task: Task) -> int:
    """Write the clips of a task that are not there yet and return how many it holds."""
    for index in task.indices:
        path = task.folder / f"{clip_id(task.split, index)}.mp4"
        if not path.exists():
            clip = draw_clip(task.spec, task.split, index)
            sound = synthesise(clip, task.spec)
            pictures = render(clip, task.spec)
            write_video(path, pictures, sound, fps=task.spec.fps, sample_rate=SAMPLE_RATE)
    return len(task.indices)


def _write_clips(
    out: Path, spec: SynthSpec, workers: int, report: Callable[[int, int], None]
) -> None:
    tasks = [
        Task(out / "clips", spec, split, range(first, min(first + CLIPS_A_TASK, count)))
        for split, count in spec.splits.items()
        for first in range(0, count, CLIPS_A_TASK)
    ]
    total, done = sum(spec.splits.values()), 0
    pool = OrderedPool(make_clips, workers)
    try:
        for result in pool.results(tasks):
            if isinstance(result, WorkerDiedError):
                raise UserError(f"{out}: a worker process died ({result}); start again")
            done += result
            report(done, total)
    finally:
        pool.stop()


def _check_spec(out: Path, spec: SynthSpec) -> None:
    file = out / "spec.json"
    if not file.exists():
        write_whole(file, json.dumps(spec.source, indent=1))
        return
    earlier = json.loads(file.read_text(encoding="utf-8"))
    changed = [key for key, value in spec.source.items() if earlier.get(key) != value]
    if changed:
        words = [f"{key} was {earlier.get(key)}, is now {spec.source[key]}" for key in changed]
        raise UserError(f"{out}: holds another benchmark ({'; '.join(words)}); choose another OUT")


def _manifest(spec: SynthSpec, splits: list[str]) -> str:
    entries: list[dict[str, Any]] = []
    for split in splits:
        for index in range(spec.splits[split]):
            name = clip_id(split, index)
            labels = ",".join(f"syn_{label}" for label in draw_clip(spec, split, index).labels)
            path = f"clips/{name}.mp4"
            entries.append(
                {
                    "video_id": name,
                    "wav": path,
                    "video_path": "clips",
                    "raw_video_path": path,
                    "labels": labels,
                    "split": split,
                }
            )
    source = {**spec.source, "splits": splits} if len(splits) == 1 else spec.source
    head = {"name": spec.name, "labels_csv": LABELS, "source": source}
    return json.dumps({**head, "data": entries}, indent=1)


def _label_csv() -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["index", "mid", "display_name"])
    writer.writerows((i, f"syn_{i}", name) for i, name in enumerate(CLASSES))
    return text.getvalue()
