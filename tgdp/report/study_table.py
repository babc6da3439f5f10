"""The trials of a study in Markdown."""

from collections.abc import Collection, Sequence

from tgdp.report.study_importance import Importances
from tgdp.sweep.tune.book import Trial
from tgdp.sweep.tune.rows import short_names, told, word
from tgdp.sweep.tune.task import Task

DASH = "—"


def markdown(
    task: Task, trials: Sequence[Trial], best: Sequence[int], importances: Importances
) -> str:
    """Return what was sought, the best trials, all trials, and what each key explains.

    Args:
        task: The study.
        trials: All of it.
        best: Numbers of the best one, or of those on the Pareto front, best first.
        importances: Of its keys.
    """
    study = task.study
    several = len(study.objectives) > 1
    sought = ", ".join(f"{one.quantity} ({one.direction})" for one in study.objectives)
    kept = ", ".join(one.name for one in study.constraints) or "none"
    notes = [f"- Base: {task.words}", f"- Objectives: {sought}", f"- Constraints: {kept}"]
    parts = [f"# Study {task.name}", study.question, "\n".join(notes)]
    parts.append("## Pareto front" if several else "## Best trial")
    parts.append(_table(task, [trials[number] for number in best], ()))
    parts += ["## Importances", _importances(importances)]
    parts += ["## All trials", _table(task, trials, best)]
    parts.append("**Bold**: best, or on the Pareto front. Imported trials are runs of sweeps.")
    return "\n\n".join(parts) + "\n"


def _table(task: Task, trials: Sequence[Trial], best: Collection[int]) -> str:
    study, names = task.study, short_names(task.study.keys)
    heads = ["trial", "run", "state", *(one.quantity for one in study.objectives)]
    heads += [names[key] for key in study.keys]
    lines = [heads, ["---"] * 3 + ["---:"] * (len(heads) - 3)]
    lines += [_row(task, trial, trial.number in best) for trial in trials]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(task: Task, trial: Trial, is_best: bool) -> list[str]:
    study = task.study
    state = "imported" if trial.imported and trial.state == "complete" else trial.state
    values = [DASH] * len(study.objectives)
    if trial.values:
        pairs = zip(study.objectives, trial.values, strict=True)
        values = [told(one.quantity, value) for one, value in pairs]
    point = [word(trial.point[key]) if key in trial.point else DASH for key in study.keys]
    first = [trial.label, trial.run or DASH, state]
    cells = [cell.replace("|", "\\|") for cell in (*first, *values, *point)]
    return [f"**{cell}**" for cell in cells] if is_best else cells


def _importances(importances: Importances) -> str:
    parts: list[str] = []
    for quantity, shares in importances.shares.items():
        listed = ", ".join(f"{key} {100 * share:.0f} %" for key, share in shares.items())
        parts.append(f"- {quantity}, share of the variance explained (fANOVA): {listed}")
    return "\n".join((*parts, *(f"- {note}" for note in importances.notes)))
