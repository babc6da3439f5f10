"""The table of a comparison as Markdown."""

from tgdp.bench.parity.report import HEADINGS, Report


def as_markdown(report: Report) -> str:
    """Return the table and what stands below it, without a final newline."""
    rows = [HEADINGS, ("---", "---:", "---:", "---:", "---")]
    rows += [row.cells(report.rtol) for row in report.rows]
    table = [f"| {' | '.join(cells)} |" for cells in rows]
    # Markdown would run plain lines together.
    return "\n\n".join(["\n".join(table), *report.lines])
