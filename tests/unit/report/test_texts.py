"""The same table in every format."""

import dataclasses
import io
import re

import pandas as pd
import pytest
from rich.console import Console

from tests.fake_runs import masking
from tgdp.report import console, latex, markdown, trace
from tgdp.report.views import view

GOLDEN = """\
# Contrastive mask ratio

How much should the contrastive path see, with reconstruction fixed at 75 %?

**A→V**

| mask ratio | R@1 | R@5 | R@10 | seeds | clips | published R@1 |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| 0.00 | 18.5 ± 0.7 | 37.0 ± 1.4 | 55.5 ± 2.1 | 2/2 | 300 | 29.8 (medium) |
| 0.20 | — (failed: RuntimeError: loss is nan \\| 5% of\\_all & on) | — | — | 0/2 | — | not found |
| 0.50 | **24.5 ± 0.7** | **49.0 ± 1.4** | **73.5 ± 2.1** | 2/2 | 300 | 30.3 (medium) |
| 0.65 | — (running, step 120/500) | — | — | 0/2 | — | 25.1 (medium) |
| 0.75 | 15.0 ± — | 30.0 ± — | 45.0 ± — | 1/2 | 300 | not found |

**V→A**

| mask ratio | R@1 | R@5 | R@10 | seeds | clips |
| --- | ---: | ---: | ---: | ---: | ---: |
| 0.00 | 20.4 ± 0.8 | 40.7 ± 1.6 | 61.0 ± 2.3 | 2/2 | 300 |
| 0.20 | — (failed: RuntimeError: loss is nan \\| 5% of\\_all & on) | — | — | 0/2 | — |
| 0.50 | **27.0 ± 0.8** | **53.9 ± 1.6** | **80.8 ± 2.3** | 2/2 | 300 |
| 0.65 | — (running, step 120/500) | — | — | 0/2 | — |
| 0.75 | 16.5 ± — | 33.0 ± — | 49.5 ± — | 1/2 | 300 |

- Ours: data embedded, split retrieval, N = 300 clips, protocol retrieval/v1, base tiny on embedded.
- Mean ± sample standard deviation over seeds, in percent; seeds: done / wanted.
- Chance level: R@1 0.33 %, R@5 1.67 %, R@10 3.33 %.
- Published: VGGSound with ViT-B, with the confidence of the source that was read. Not comparable \
in size with ours, only in direction.

Missing:

- 0.20: seed 0: not run; seed 1: failed: RuntimeError: loss is nan \\| 5% of\\_all & on
- 0.65: seed 0: running, step 120/500; seed 1: not run
- 0.75: seed 1: interrupted, step 200/500
"""


def test_markdown_is_word_for_word(table):
    assert markdown.render(table) == GOLDEN


def test_training_clips_are_said_to_be_training_clips(table):
    memorised = dataclasses.replace(table, on_training_clips=True)
    assert "Retrieval among the training clips" in markdown.render(memorised)
    assert "Retrieval among the training clips" in latex.render(memorised)


def test_latex_escapes_every_sign_and_keeps_the_best_bold(table):
    text = latex.render(table)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    assert not re.search(r"(?<!\\)[%_#]", body)
    # An ampersand is either between cells or escaped; the error holds one.
    lines = [line for line in body.splitlines() if line.startswith("0.")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in lines} == {6, 5}
    assert body.isascii()
    assert r"\textbf{24.5 $\pm$ 0.7}" in body
    assert r"5\% of\_all \& on" in body
    assert body.count(r"\toprule") == body.count(r"\bottomrule") == 2


def test_every_cell_of_the_csv_can_be_traced(mixed, table):
    _, tracked = mixed
    frame = pd.read_csv(io.StringIO(trace.frame(table).to_csv(index=False)), dtype={"variant": str})
    assert len(frame) == 5 * 6
    line = frame[(frame["variant"] == "0.50") & frame["metric"].str.endswith("a2v/r1")].iloc[0]
    runs = [tracked.runs[name] for name in line["signatures"].split()]
    assert [run.run_id for run in runs] == line["run_ids"].split()
    values = [100 * run.metrics["retrieval/embedded/a2v/r1"] for run in runs]
    assert abs(sum(values) / len(values) - line["mean"]) < 1e-9
    assert (line["n"], line["wanted"], line["clips"], line["published"]) == (2, 2, 300, 30.3)
    assert line["published_confidence"] == "medium"
    assert abs(line["difference"] - (line["mean"] - 30.3)) < 1e-9
    missing = frame[frame["variant"] == "0.65"]
    assert missing["mean"].isna().all()
    assert missing["missing"].str.contains("running").all()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_terminal_table_fits_its_terminal(table, width):
    out = Console(width=width, record=True, file=io.StringIO())
    out.print(console.Fitted(table))
    text = out.export_text()
    assert "0.50" in text
    assert "24.5 ± 0.7" in text
    assert ("80.8 ± 2.3" in text) == (width == 100)
    assert "…" not in text
    assert "interrupted, step 200/500" in " ".join(text.split())


def test_a_saved_view_is_the_same_each_time_and_fits_a_tag(mixed):
    _, tracked = mixed
    first, second = (view(masking(), tracked.summaries[0], "embedded") for _ in range(2))
    assert first == second
    assert len(first.value) < 5000
    assert "compareRunsMode=CHART" in first.link("http://x/", "1", "CHART")
