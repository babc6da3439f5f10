"""A small study, and run directories of its trials as jobs would leave them."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tgdp.config import dump
from tgdp.data.files import write_whole
from tgdp.sweep.resolve import Words
from tgdp.sweep.tune.book import Book
from tgdp.sweep.tune.declare import Choice, Constraint, Objective, Range, Study
from tgdp.sweep.tune.measure import Measured
from tgdp.sweep.tune.opening import open_book
from tgdp.sweep.tune.task import Task, make_task
from tgdp.training.run_directory import RunDirectory, State, Status

RATIO, TEMPERATURE = "contrastive.mask.ratio", "contrastive.temperature"

CLIPS, BATCH, EPOCHS = 64, 16, 8
AN_EPOCH = CLIPS // BATCH
"""Steps of an epoch."""

RETRIEVAL = Objective("retrieval", "maximize")
HOURS = Objective("hours", "minimize")


def study(**fields: Any) -> Study:
    """Return a study of a stepped range and a free one."""
    given: dict[str, Any] = {
        "name": "toy",
        "question": "Does it work?",
        "space": (Range(RATIO, 0.0, 0.5, step=0.25), Range(TEMPERATURE, 0.02, 0.2, log=True)),
        "objectives": (RETRIEVAL,),
    }
    return Study(**{**given, **fields})


def gridded(**fields: Any) -> Study:
    """Return a study with four points."""
    space = (Choice(RATIO, (0.0, 0.5)), Choice(TEMPERATURE, (0.05, 0.1)))
    return study(**{"space": space, **fields})


def constrained() -> Study:
    """Return a study with two objectives and a limit."""
    return study(objectives=(RETRIEVAL, HOURS), constraints=(Constraint("hours", upper=1.0),))


def card_in(data: Path) -> Path:
    """Return a data folder that holds nothing but its card."""
    data.mkdir(parents=True, exist_ok=True)
    card = {"format": "tgdp-shards", "version": 1, "name": "toy", "settings": {}}
    card |= {"splits": {"train": CLIPS, "retrieval": 32}, "num_failures": 0}
    card |= {"fingerprint": "0123456789abcdef", "num_frames": 16, "sample_rate": 16000}
    (data / "dataset.json").write_text(json.dumps(card))
    return data


def task_of(declared: Study, results: Path, *assignments: str, seed: int = 0) -> Task:
    """Return a study over data that is only a card."""
    data = card_in(results / "data")
    steps = (f"training.steps={EPOCHS * AN_EPOCH}", f"training.batch_size={BATCH}")
    return make_task(declared, Words(data=data, assignments=(*steps, *assignments)), seed, results)


def write_run(
    task: Task, point: dict[str, Any], state: State = "done", **said: Any
) -> RunDirectory:
    """Write the run of a point.

    Args:
        task: The study.
        point: Where the run lies.
        state: How it is.
        said: `r1` at its end, `curve`: mean R@1 after each of its epochs, `seconds`, `error`.
    """
    cell = task.cell(0, point)
    run = RunDirectory(task.results / "runs" / cell.signature)
    run.create(dump(cell.config))
    curve, r1 = said.get("curve", ()), said.get("r1", 0.2)
    name = f"retrieval/{task.dataset}"
    for epoch, value in enumerate(curve, start=1):
        step = epoch * AN_EPOCH
        memory = {"perf/peak_memory_gib": 1.0 + epoch}
        run.append({"kind": "metric", "step": step, "values": memory})
        run.append({"kind": "metric", "step": step, "values": {f"{name}/mean_r1": value}})
    if state == "done":
        metrics = {f"{name}/a2v/r1": r1 - 0.1, f"{name}/v2a/r1": r1 + 0.1}
        write_whole(run.result_file, json.dumps({"metrics": metrics}))
    total = EPOCHS * AN_EPOCH
    step = total if state == "done" else len(curve) * AN_EPOCH
    words = {"attempt": 1, "saved": step, "error": said.get("error", "")}
    status = Status(state=state, step=step, total_steps=total, **words)
    run.set_status(replace(status, seconds=said.get("seconds", 60.0)))
    return run


def worth(point: Mapping[str, Any]) -> tuple[float, float]:
    """Return made-up retrieval and hours of a point: the ratio rules both."""
    ratio, temperature = point[RATIO], point.get(TEMPERATURE, 0.05)
    r1 = 0.4 - 0.6 * (ratio - 0.25) ** 2 - 0.05 * abs(math.log(temperature / 0.06))
    return r1, 1.4 - 1.6 * ratio + temperature


def work_through(task: Task, number: int) -> Book:
    """Return a study with so many trials told: a pruned, a failed and an imported one too."""
    book = open_book(task)
    for index in range(number):
        trial = book.ask()
        book.note(trial.number, "run", task.cell(trial.number, trial.point).signature)
        values = worth(trial.point)
        excess = {one.name: one.excess(values[1]) for one in task.study.constraints}
        if index == 3:
            book.note(trial.number, "pruning", 1)
            book.prune(trial.number, {1: 0.1})
        elif index == 4:
            book.fail(trial.number, "ValueError: a | b")
        else:
            book.complete(trial.number, Measured(values[: len(task.study.objectives)], excess))
    point = dict(trial.point) | {RATIO: 0.5}
    excess = {one.name: -1.0 for one in task.study.constraints}
    measured = Measured(worth(point)[: len(task.study.objectives)], excess)
    book.import_run(point, task.cell(0, point).signature, measured)
    return book
