"""What the frozen features of every row are worth to a probe, a panel a protocol."""

from pathlib import Path

from matplotlib.axes import Axes

from tgdp.report import words
from tgdp.report.probes import MODALITIES, ProbeMetric
from tgdp.report.table import Table

from .theme import BLUE, GREY, ORANGE, figure, save, styled

STYLES = {"av": (GREY, "D", -0.2), "a": (BLUE, "o", 0.0), "v": (ORANGE, "s", 0.2)}
"""Colour, marker and place within the row of each modality."""


def draw(table: Table, folder: Path, stem: str) -> list[Path]:
    """Write the figure and return its files; none where no row has been probed."""
    blocks = words.probe_blocks(table)
    if not blocks:
        return []
    with styled():
        made = figure(1.6 + 3.8 * len(blocks), 1.7 + 0.42 * len(table.rows))
        panels = made.subplots(1, len(blocks), sharey=True, squeeze=False)[0]
        for axes, block in zip(panels, blocks, strict=True):
            _panel(axes, table, block)
        panels[0].set_yticks(range(len(table.rows)), [row.label for row in table.rows])
        panels[0].set_ylim(len(table.rows) - 0.5, -0.5)
        panels[0].set_ylabel(words.row_head(table))
        # A modality may be in some of the panels only.
        found = [axes.get_legend_handles_labels() for axes in panels]
        keys = {word: key for keys, told in found for key, word in zip(keys, told, strict=True)}
        made.legend(keys.values(), keys.keys(), loc="outside lower center", ncols=3, fontsize=8)
        made.suptitle(f"{table.sweep.title}: probes of frozen features")
        return save(made, folder, stem)


def _panel(axes: Axes, table: Table, block: words.Block) -> None:
    for column in block.columns:
        metric = table.sweep.metrics[column]
        if not isinstance(metric, ProbeMetric):
            continue
        colour, marker, shift = STYLES[metric.modality]
        label: str | None = MODALITIES[metric.modality]
        for place, row in enumerate(table.rows):
            entry = row.entries[column]
            if entry.mean is None:
                continue
            where = place + shift
            style = {"color": colour, "marker": marker, "linestyle": "none", "label": label}
            axes.errorbar(entry.mean, where, xerr=entry.sd, **style)
            axes.scatter(entry.numbers, [where] * len(entry.numbers), 14, colour, alpha=0.45)
            label = None
        axes.set_xlabel(f"{metric.kind} (%): mean, sd, and single seeds")
    axes.set_title(block.heading, fontsize=9, loc="left")
