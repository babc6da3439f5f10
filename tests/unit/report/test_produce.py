"""What the end of a sweep leaves on disk and in the store."""

import io

import pytest
from rich.console import Console

from tests.fake_runs import cells, masking, write_run
from tgdp.errors import UserError
from tgdp.report import finish, produce
from tgdp.report.dashboard import choose_port, links
from tgdp.sweep import track


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        for fingerprint in ("aaaa", "bbbb"):
            made = cells(fingerprint, seeds=(0,))
            for cell in made:
                write_run(folder, cell, steps=20)
            finish(folder, masking(), made, f"tiny on {fingerprint}")
        yield folder


def test_two_data_sets_never_share_a_table(results):
    names = sorted(path.name for path in (results / "tables").glob("*.md"))
    assert len(names) == 2
    assert "tiny on bbbb" in (results / "tables" / "masking.md").read_text()
    (other,) = (name for name in names if name != "masking.md")
    assert other.startswith("masking-tiny-on-aaaa-")
    assert "tiny on aaaa" in (results / "tables" / other).read_text()


def test_figures_are_written_as_png_and_pdf(results):
    assert (results / "figures" / "masking.png").read_bytes().startswith(b"\x89PNG")
    assert (results / "figures" / "masking.pdf").read_bytes().startswith(b"%PDF")


def test_finishing_again_changes_no_number_and_returns_the_table(results):
    before = track.read(results)
    figure = (results / "figures" / "masking.pdf").read_bytes()
    out = Console(width=100, file=io.StringIO(), record=True)
    out.print(finish(results, masking(), cells("bbbb", seeds=(0,)), "tiny on bbbb"))
    after = track.read(results)
    assert "Contrastive mask ratio" in out.export_text()
    assert after.runs == before.runs
    assert (results / "figures" / "masking.pdf").read_bytes() == figure
    pairs = zip(before.summaries, after.summaries, strict=True)
    for old, new in pairs:
        changed = {key for key in new.tags if new.tags[key] != old.tags.get(key)}
        assert new.metrics == old.metrics
        assert changed <= {"tgdp.asked"}


def test_the_summary_holds_the_means_and_the_table(results):
    newest = track.read(results).summaries[0]
    assert newest.metrics["mean/a2v_r1/0.50"] == pytest.approx(24.0)
    assert newest.metrics["n/a2v_r1/0.50"] == 1
    assert "sd/a2v_r1/0.50" not in newest.metrics
    assert "| 0.50 | **24.0 ± —**" in newest.tags["mlflow.note.content"]
    kept = {path.name for path in (results / "artifacts" / newest.run_id).rglob("masking.*")}
    assert kept == {f"masking.{ending}" for ending in ("md", "csv", "tex", "png", "pdf")}


def test_asking_for_the_older_table_swaps_the_names(results):
    finish(results, masking(), cells("aaaa", seeds=(0,)), "tiny on aaaa")
    assert "tiny on aaaa" in (results / "tables" / "masking.md").read_text()
    assert len(list((results / "tables").glob("*.md"))) == 2
    produce.write(results, [masking()])
    assert len(list((results / "tables").glob("*.md"))) == 2


def test_a_base_without_numbers_does_not_show_the_figure_of_another(results):
    planned = cells("cccc", seeds=(0,))
    finish(results, masking(), planned, "tiny on cccc")
    assert "seed 0: not run" in (results / "tables" / "masking.md").read_text()
    assert not (results / "figures" / "masking.png").exists()
    assert len(list((results / "figures").glob("*.png"))) == 2
    finish(results, masking(), cells("bbbb", seeds=(0,)), "tiny on bbbb")


def test_links_open_on_the_charts_of_the_newest_table(results):
    found = links(results, "http://127.0.0.1:5000")
    newest = track.read(results).summaries[0]
    address = found.charts[0][1]
    assert address.startswith("http://127.0.0.1:5000/#/experiments/")
    assert f"viewStateShareKey=masking-{newest.base}&compareRunsMode=CHART" in address


def test_a_port_in_use_is_refused_or_passed_over():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="in use"):
            choose_port(taken.getsockname()[1])
    assert choose_port(None) >= 5000
