"""The descriptions that people meet in the MLflow UI."""

from collections.abc import Sequence

from tgdp.report import markdown
from tgdp.report.table import Table
from tgdp.report.views import View

LIMIT = 7900
"""mlflow cuts a note at 8,000 characters without saying so."""


def of_summary(table: Table, page: View, experiment_id: str) -> str:
    """Return the note of a summary run: links, then the table."""
    return f"{_links(page, experiment_id)}\n\n{markdown.render(table)}"[:LIMIT]


def of_experiment(tables: Sequence[Table], pages: Sequence[View], experiment_id: str) -> str:
    """Return the note of the experiment: links on the first line, all that is seen when folded.

    Args:
        tables: The tables, newest first.
        pages: The page of each.
        experiment_id: The experiment.
    """
    links = [
        f"{page.title}: {_links(page, experiment_id)} · "
        f"[table](#/experiments/{experiment_id}/runs/{table.summary.run_id})"
        for table, page in zip(tables, pages, strict=True)
    ]
    return f"{' | '.join(links)}\n\n{markdown.render(tables[0])}"[:LIMIT]


def _links(page: View, experiment_id: str) -> str:
    charts = f"[charts]({page.link('', experiment_id, 'CHART')})"
    return f"{charts} · [runs]({page.link('', experiment_id, 'TABLE')})"
