"""The tables beside the shards, written when every clip has been seen; `dataset.json` is last."""

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tgdp.data.card import CARD_FILE, FORMAT, SAMPLE_RATE, VERSION, PrepareSettings, fingerprint
from tgdp.data.files import write_whole
from tgdp.data.labels import LabelVocabulary

FAILURE_COLUMNS = ("video_id", "path", "reason")


def write_tables(
    folder: Path,
    journal: Sequence[Mapping[str, Any]],
    vocabulary: LabelVocabulary,
    settings: PrepareSettings,
    *,
    name: str,
    source: Mapping[str, Any] | None = None,
) -> None:
    """Write `samples.jsonl`, `index.npz`, `labels.csv`, `failures.csv` and then `dataset.json`.

    Args:
        folder: The prepared folder, its shards finished.
        journal: A line for each clip, as `ShardWriter` keeps it.
        vocabulary: Every label.
        settings: How the clips were stored.
        name: Name used in metric names.
        source: What generated data was generated from.
    """
    clips = [line for line in journal if "end" in line]
    failures = [line for line in journal if "end" not in line]
    write_whole(folder / "samples.jsonl", "".join(_sample_line(clip) for clip in clips))
    _write_index(folder / "index.npz", clips)
    write_whole(folder / "labels.csv", vocabulary.to_csv())
    write_whole(folder / "failures.csv", failures_csv(failures))
    card = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "fingerprint": fingerprint(
            settings,
            source=source,
            clips=[_identity(line) for line in journal],
            failed=[line["id"] for line in failures],
        ),
        "splits": dict(Counter(clip["split"] for clip in clips)),
        "num_frames": settings.num_frames,
        "sample_rate": SAMPLE_RATE,
        "settings": asdict(settings),
        "num_failures": len(failures),
    }
    write_whole(folder / CARD_FILE, json.dumps(card, indent=2) + "\n")


def failures_csv(failures: Sequence[Mapping[str, Any]]) -> str:
    """Return the clips that could not be read, as CSV text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FAILURE_COLUMNS)
    writer.writerows((line["id"], line["path"], line["reason"]) for line in failures)
    return text.getvalue()


def failed_clips(folder: Path) -> list[str]:
    """Return the ids of the clips that could not be prepared, whatever their split."""
    with (folder / "failures.csv").open(encoding="utf-8", newline="") as file:
        return [row[FAILURE_COLUMNS[0]] for row in csv.DictReader(file)]


def _sample_line(clip: Mapping[str, Any]) -> str:
    return json.dumps({key: clip[key] for key in ("id", "split", "labels", "seconds")}) + "\n"


def _identity(line: Mapping[str, Any]) -> tuple[str, str, tuple[str, ...], int]:
    return line["id"], line["split"], tuple(line["labels"]), line["bytes"]


def _write_index(file: Path, clips: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(clip["split"] for clip in clips))
    codes = {name: code for code, name in enumerate(names)}
    np.savez(
        file,
        shard=np.array([clip["shard"] for clip in clips], np.int32),
        offset=np.array([clip["offset"] for clip in clips], np.int64),
        size=np.array([clip["size"] for clip in clips], np.int32),
        # Beyond the contract: what a loader needs of each clip without opening its meta.json.
        seconds=np.array([clip["seconds"] for clip in clips], np.float64),
        num_samples=np.array([clip["num_samples"] for clip in clips], np.int64),
        mean=np.array([clip["mean"] for clip in clips], np.float32),
        split=np.array([codes[clip["split"]] for clip in clips], np.int16),
        split_names=np.array(names, np.str_),
    )
