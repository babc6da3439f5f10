"""The block under a plan: in full, with gaps, and not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tests.measured_steps import CARD, ROWS, row, write
from tgdp import presets
from tgdp.cli.sweep import build_app
from tgdp.cli.sweep_run import Wanted, dry
from tgdp.config import Config, override
from tgdp.errors import UserError
from tgdp.sweep.declare import expand
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.resolve import Words
from tgdp.sweep.scaling import GPUS
from tgdp.sweep.show_scaling import OnPaper, on_paper

GOLDEN = """\
On paper: 2 runs on 1,390,395 pairs
GPUs  batch  step          hours a run     GPU-hours  pairs/s  GB/s  cores
───────────────────────────────────────────────────────────────────────────
1    512  measured             17.0          34.0      928  0.22    2.8
8     64  measured       3.2 .. 3.3  51.3 .. 52.5    4,922   1.2   14.8
32     16  extrapolated   1.7 .. 2.5    111 .. 160    9,113   2.2   27.3
Measured on NVIDIA H200, 2026-11-26, torch 2.11.0, bfloat16:
  ours, dual + teacher: batch 64, 256, 512 a GPU; others by the line 40.0 + 1.000 x batch ms.
  Each row in proportion to its operations: 1.00 to 1.33 times those measured.
Hours: compute-bound .. nothing of the exchange (760 MB of gradients) hidden behind it. NVLink \
450 GB/s each way (data sheet) among 8 GPUs, beyond 50 GB/s a GPU (assumed); no latency, no \
waiting for data.
Loader: pairs/s of the fastest row; 0.239 MB a pair (as 14 real clips), 3.0 ms of a core to \
decode it (docs/data.md)."""


def paper_runs() -> list[Config]:
    ratios = (0.0, 0.5)
    return [override(presets.paper(), {"contrastive.mask.ratio": ratio}) for ratio in ratios]


def shown(block: OnPaper | None) -> str:
    assert block is not None
    console = Console(width=80)
    with console.capture() as capture:
        console.print(block.table())
    lines = [line.strip() for line in capture.get().splitlines() if line.strip()]
    return "\n".join((*lines, *block.notes))


def test_the_block_in_full(tmp_path: Path) -> None:
    write(tmp_path, *ROWS)
    block = on_paper(paper_runs(), "paper", tmp_path)
    assert shown(block) == GOLDEN


def test_the_documentation_shows_what_the_committed_measurements_say(tmp_path: Path) -> None:
    cells = expand(load_sweep("masking"), presets.paper())
    block = on_paper([cell.config for cell in cells], "paper", tmp_path)
    text = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text()
    found = text.partition("```\n                   On paper")[2].partition("```")[0]
    lines = [line.strip() for line in f"On paper{found}".splitlines() if line.strip()]
    assert lines == [line.strip() for line in shown(block).splitlines()]


def test_gaps_are_dashes_and_are_explained(tmp_path: Path) -> None:
    write(tmp_path, row(64, 104.0, device="NVIDIA L4"))
    block = on_paper(paper_runs()[1:], "paper", tmp_path)
    assert block is not None
    assert [int(cells[0]) for cells in block.rows] == list(GPUS)
    assert block.rows[0][1:] == tuple("-------")
    assert block.rows[1][:3] == ("8", "64", "measured")
    assert any(note.startswith("-: of some row") for note in block.notes)
    # A card without NVLink, and a row that costs what was measured.
    assert "NVLink" not in shown(block)
    assert "in proportion" not in shown(block)


@pytest.mark.parametrize(
    ("preset", "device"), [("small", CARD), ("paper", "cpu, 2 threads")], ids=str
)
def test_nothing_is_shown_where_nothing_was_measured_on_a_gpu(
    tmp_path: Path, preset: str, device: str
) -> None:
    write(tmp_path, row(64, 104.0, device=device))
    assert on_paper([presets.by_name(preset)], preset, tmp_path) is None


def test_the_data_says_how_many_pairs_there_are(make_data, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)
    folder = make_data({"train": 2_000, "retrieval": 5})
    config = override(presets.paper(), {"data.folder": str(folder)})
    block = on_paper([config], "paper", tmp_path)
    assert block is not None
    assert block.pairs == 2_000


def test_small_numbers_are_said_to_be_small(make_data, tmp_path: Path) -> None:
    write(tmp_path, *ROWS)
    config = override(presets.paper(), {"data.folder": str(make_data({"train": 64}))})
    block = on_paper([config], "paper", tmp_path)
    assert block is not None
    assert block.rows[0][3] == "< 0.01"


def plan(*words: str) -> str:
    result = CliRunner().invoke(build_app(), ["masking", "--dry-run", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_block_stands_under_the_plan_of_what_a_gpu_trains(make_data, tmp_path: Path) -> None:
    # Even where somebody timed `tiny` on a GPU: its embedded benchmark is for a CPU.
    write(tmp_path, *ROWS, row(48, 9.0, preset="tiny", precision="float32", case="dual pass"))
    results = ("--results", str(tmp_path))
    with_data = ("--data", str(make_data({"train": 2_000, "retrieval": 5})))
    assert "On paper" not in plan(*results)
    output = plan("--preset", "paper", *with_data, *results)
    assert "On paper: 10 runs on 2,000 pairs" in output
    assert output.index("10 runs: ") < output.index("On paper") < output.index("Loader: ")


def test_it_is_worked_out_without_torch_and_numpy(make_data, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from tgdp import presets
from tgdp.cli.sweep import build_app
from tgdp.config import override
from tgdp.sweep.show_scaling import on_paper
config = override(presets.paper(), {{"data.folder": {str(make_data())!r}}})
assert on_paper([config], "paper", Path({str(tmp_path)!r}))
print([name for name in ("torch", "numpy", "pandas") if name in sys.modules])
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "[]"


def test_a_dry_run_says_it_before_there_is_data(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    dry(load_sweep("masking"), Wanted(Words("paper"), tmp_path))
    said = capsys.readouterr().out
    assert "No data chosen" in said
    assert "On paper: 10 runs on 1,390,395 pairs" in said
    with pytest.raises(UserError, match="--preset small: give the prepared data with --data DIR"):
        dry(load_sweep("masking"), Wanted(Words("small"), tmp_path))
    assert list(tmp_path.iterdir()) == []
