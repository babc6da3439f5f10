"""Saved views: the pages of the MLflow UI that the links open on.

The format is MLflow's own and documented nowhere, so that mlflow is pinned to 3.17. Where it is not
understood the page opens on MLflow's default charts.
"""

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from typing import Any

from tgdp.sweep.declare import Metric, Sweep
from tgdp.sweep.track_run import short_name
from tgdp.sweep.track_summary import Summary, row_tag

TRAINING = ("train/loss/total", "train/loss/contrastive", "perf/samples_per_s")
"""Curves below the results."""


@dataclass(frozen=True)
class View:
    """A saved page.

    Attributes:
        key: Its name in a link.
        title: Its name on the page.
        tag: The experiment tag that holds it.
        value: Content of the tag.
    """

    key: str
    title: str
    tag: str
    value: str

    def link(self, root: str, experiment_id: str, mode: str) -> str:
        """Return the address of the page.

        Args:
            root: Address of the server; empty for a link inside the UI.
            experiment_id: The experiment.
            mode: `CHART` or `TABLE`.
        """
        words = (
            "workflowType=machine_learning",
            f"viewStateShareKey={self.key}",
            f"compareRunsMode={mode}",
        )
        return f"{root}#/experiments/{experiment_id}/runs?{'&'.join(words)}"


def view(sweep: Sweep, summary: Summary, dataset: str) -> View:
    """Return the page of one table: its runs, R@1 against what is varied, the loss curves.

    Args:
        sweep: The declaration.
        summary: The table.
        dataset: Name of the data in the metric names.
    """
    key = f"{sweep.name}-{summary.base}"
    title = f"{sweep.title}: {summary.words or summary.base}"
    packed = zlib.compress(json.dumps(_state(sweep, summary, dataset), sort_keys=True).encode(), 9)
    value = {
        "name": title,
        # Always the same, so that writing the view twice changes nothing.
        "createdAt": 0,
        "updatedAt": 0,
        "state": "deflate;" + base64.b64encode(packed).decode(),
    }
    return View(key, title, f"mlflow.sharedViewState.{key}", json.dumps(value))


def _state(sweep: Sweep, summary: Summary, dataset: str) -> dict[str, Any]:
    charts = [*_result_charts(sweep, dataset), *_training_charts()]
    return {
        "searchFilter": f"tags.`tgdp.base.{sweep.name}` = '{summary.base}'",
        "orderByKey": _varied(sweep),
        "orderByAsc": True,
        "selectedColumns": _columns(sweep, dataset),
        "runsHiddenMode": "SHOWALL",
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsPinned": [],
        "runsExpanded": {},
        "groupBy": None,
        "groupsExpanded": {},
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": True,
        "autoRefreshEnabled": True,
        "hideEmptyCharts": True,
        "compareRunCharts": charts,
        "compareRunSections": [
            _section("results", f"Results: {sweep.title}"),
            _section("training", "Training"),
        ],
    }


def _result_charts(sweep: Sweep, dataset: str) -> list[dict[str, Any]]:
    first = _first_of_each_block(sweep)
    charts: list[dict[str, Any]] = []
    if sweep.key:
        x = {"key": sweep.key, "type": "PARAM"}
        for metric in first:
            y = {"key": _shown(metric, dataset), "type": "METRIC"}
            charts.append(_chart("SCATTER", "results", xaxis=x, yaxis=y))
    charts += [_chart("BAR", "results", metricKey=_shown(metric, dataset)) for metric in first]
    return charts


def _training_charts() -> list[dict[str, Any]]:
    return [
        _chart(
            "LINE",
            "training",
            metricKey=name,
            selectedMetricKeys=[name],
            scaleType="linear",
            xAxisScaleType="linear",
            xAxisKey="step",
            selectedXAxisMetricKey="",
            lineSmoothness=0,
            useGlobalXaxisKey=True,
            useGlobalLineSmoothing=True,
        )
        for name in TRAINING
    ]


def _first_of_each_block(sweep: Sweep) -> list[Metric]:
    first: dict[str, Metric] = {}
    for metric in sweep.metrics:
        first.setdefault(metric.title.rpartition(" ")[0], metric)
    return list(first.values())


def _chart(kind: str, section: str, **settings: Any) -> dict[str, Any]:
    text = json.dumps([kind, section, settings], sort_keys=True)
    return {
        "type": kind,
        "uuid": hashlib.sha256(text.encode()).hexdigest()[:16],
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
        "runsCountToCompare": 100,
        **settings,
    }


def _section(name: str, title: str) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": title,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": 2,
        "cardHeight": 340,
    }


def _columns(sweep: Sweep, dataset: str) -> list[str]:
    """Return the columns of the list of runs."""
    metrics = [f"metrics.`{_shown(metric, dataset)}`" for metric in sweep.metrics]
    return [*metrics, _varied(sweep), "params.`seed`", "tags.`tgdp.state`", "tags.`tgdp.signature`"]


def _varied(sweep: Sweep) -> str:
    """Return what tells the rows apart: the key that they vary, else their label."""
    return f"params.`{sweep.key}`" if sweep.key else f"tags.`{row_tag(sweep.name)}`"


def _shown(metric: Metric, dataset: str) -> str:
    name = metric.name(dataset)
    return short_name(name) or name
