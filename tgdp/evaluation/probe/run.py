"""One probe from frozen features to its numbers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tgdp.errors import UserError
from tgdp.evaluation.per_class import probe_by_class
from tgdp.evaluation.probe.choose import Choice, choose_rate
from tgdp.evaluation.probe.data import ProbeData, check_pair
from tgdp.evaluation.probe.features import open_inputs
from tgdp.evaluation.probe.fit import Examples, fit, predict, steps_of
from tgdp.evaluation.probe.heads import heads_for, num_parameters
from tgdp.evaluation.probe.intervals import Interval, map_intervals, mean_interval
from tgdp.evaluation.probe.metrics import (
    is_ranked,
    multilabel_metrics,
    ranks_of_truth,
    require_scikit_learn,
    singlelabel_metrics,
)
from tgdp.evaluation.probe.result import ProbeResult
from tgdp.evaluation.probe.settings import ProbeSettings

Report = Callable[[int, int], None]
ManyScores = list[NDArray[np.float32]]


def run_probe(
    train: ProbeData,
    test: ProbeData,
    settings: ProbeSettings,
    device: torch.device,
    report: Report = lambda done, total: None,
) -> ProbeResult:
    """Return what frozen features are worth to a probe.

    The rate is chosen on held-out training clips; then one probe a seed is trained on all training
    clips with it, and each is tested once, at its end.

    Args:
        train: Training clips.
        test: Test clips; their features are read only once the rate is chosen.
        settings: Which probe, on what.
        device: Where it is trained.
        report: Called with probes trained and probes in all.

    Raises:
        UserError: The clips do not fit each other or the task, there are too few, a feature is not
            finite, every rate diverged, or scikit-learn is not here.
    """
    check_pair(train, test, settings.modality)
    require_scikit_learn()
    targets = test.targets(settings.task)
    trained = _train(train, test, settings, device, report)
    if not all(np.isfinite(one).all() for one in trained.scores):
        rate = trained.choice.rate
        raise UserError(f"probe: training diverged on all clips at the chosen rate {rate}")
    return _result(train, test, settings, trained, _intervals(targets, trained.scores, settings))


@dataclass(frozen=True)
class _Trained:
    """Logits of the test clips, one array a seed, and what gave them."""

    choice: Choice
    scores: ManyScores
    width: int
    parameters: int


def _train(
    train: ProbeData, test: ProbeData, settings: ProbeSettings, device: torch.device, report: Report
) -> _Trained:
    inputs = open_inputs(train, settings.kind, settings.modality)
    examples = Examples(inputs, train.targets(settings.task), len(train.vocabulary))
    count = _count(len(settings.grid) + len(settings.seeds), report)
    choice = choose_rate(examples, train.ids, settings, device, count)
    tested = open_inputs(test, settings.kind, settings.modality)
    scores: ManyScores = []
    parameters = 0
    for seed in settings.seeds:
        probe = fit(examples, np.arange(len(inputs)), choice.rate, seed, settings, device)
        scores.append(predict(probe, tested, np.arange(len(tested)), device))
        parameters = num_parameters(probe)
        count()
    return _Trained(choice, scores, inputs.width, parameters)


def _intervals(
    targets: NDArray[Any], scores: ManyScores, settings: ProbeSettings
) -> dict[str, Interval]:
    if settings.task == "multilabel":
        resamples = settings.map_resamples
        return map_intervals(targets, scores, resamples) if resamples else {}
    if not settings.resamples:
        return {}
    right = np.mean([ranks_of_truth(targets, one) == 1 for one in scores], axis=0)
    return {"top1": mean_interval(right, settings.resamples)}


def _result(
    train: ProbeData,
    test: ProbeData,
    settings: ProbeSettings,
    trained: _Trained,
    intervals: dict[str, Interval],
) -> ProbeResult:
    choice, grid, hot = trained.choice, settings.grid, test.hot()
    is_singlelabel = settings.task == "singlelabel"
    values = _values(test.targets(settings.task), trained.scores, settings)
    return ProbeResult(
        protocol=settings.protocol,
        settings={**asdict(settings), "rates": grid},
        n=len(test.ids),
        num_train=len(train.ids),
        classes=len(train.vocabulary),
        classes_present=int(hot.any(axis=0).sum()),
        classes_ranked=int(is_ranked(hot).sum()),
        missing={"train": list(train.missing), "test": list(test.missing)},
        width=trained.width,
        num_heads=heads_for(trained.width) if settings.kind == "attention" else None,
        parameters=trained.parameters,
        steps=steps_of(len(train.ids), settings),
        rate=choice.rate,
        rate_scores=choice.scores,
        num_held_out=choice.num_held_out,
        is_rate_at_edge=len(grid) > 1 and choice.rate in (grid[0], grid[-1]),
        values=values,
        metrics={name: fmean(each) for name, each in values.items()},
        sd={name: _deviation(each) for name, each in values.items()},
        intervals=intervals,
        per_class=probe_by_class(
            hot, trained.scores, test.vocabulary, is_singlelabel=is_singlelabel
        ),
    )


def _values(
    targets: NDArray[Any], scores: ManyScores, settings: ProbeSettings
) -> dict[str, list[float]]:
    """Return every metric, one value a seed."""
    metrics = multilabel_metrics if settings.task == "multilabel" else singlelabel_metrics
    found = [metrics(targets, one) for one in scores]
    return {name: [one[name] for one in found] for name in found[0]}


def _deviation(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _count(total: int, report: Report) -> Callable[[], None]:
    done = 0

    def one() -> None:
        nonlocal done
        done += 1
        report(done, total)

    return one
