"""`status` without words shows what was launched; commands that are named can be typed as named."""

from dataclasses import replace
from pathlib import Path

from tests.fake_runs import masking
from tests.lives import call, data
from tgdp.cli.next_command import in_results
from tgdp.cli.sweep_run import Wanted, look_at, note_launch
from tgdp.errors import UserError
from tgdp.sweep.discover import load_sweep
from tgdp.sweep.resolve import Words

FILE = """\
from dataclasses import replace
from tgdp.sweep.discover import load_sweep
SWEEP = replace(load_sweep("masking"), name="own")
"""


def launch(results: Path, words: Words, sweep=None, file: Path | None = None) -> list[str]:
    """Note a launch as the command does, and return the names of its runs."""
    sweep, wanted = sweep or masking(), Wanted(words, results, file=file)
    base, cells, _ = look_at(sweep, wanted)
    note_launch(sweep, base, cells, wanted)
    return [cell.signature for cell in cells]


def runs(results: Path, *words: str) -> list[str]:
    return [row["run"] for row in data(results, "status", *words)]


def test_status_shows_what_was_launched_last(tmp_path) -> None:
    steps = ("training.steps=40",)
    short = launch(tmp_path, Words(assignments=steps, seeds="2"))
    assert runs(tmp_path, "masking") == short
    launch(tmp_path, Words(assignments=steps, seeds="5,"))
    # Seeds that were launched before on the same base are not forgotten.
    assert runs(tmp_path, "masking")[:10] == short
    assert {row["seed"] for row in data(tmp_path, "status", "masking")} == {0, 1, 5}
    assert len(runs(tmp_path, "masking", "--seeds", "1")) == 5
    assert "Base: tiny on embedded, training.steps=40, as last launched." in text(tmp_path)
    usual = launch(tmp_path, Words(seeds="1"))
    assert runs(tmp_path, "masking") == usual
    assert not set(usual) & set(short)


def test_words_on_the_command_line_win(tmp_path) -> None:
    launch(tmp_path, Words(assignments=("training.steps=40",), seeds="1"))
    asked = runs(tmp_path, "masking", "--seeds", "1", "--preset", "tiny")
    assert asked == launch(tmp_path / "elsewhere", Words(seeds="1"))
    assert "Base: tiny on embedded.\n" in text(tmp_path, "--preset", "tiny")


def test_status_of_all_shows_those_that_were_launched(tmp_path) -> None:
    assert data(tmp_path, "status") == []
    assert f"No sweep was launched in {tmp_path} yet" in call(tmp_path, "status").stderr
    launch(tmp_path, Words(), load_sweep("teacher"))
    assert {row["sweep"] for row in data(tmp_path, "status")} == {"teacher"}


def test_a_sweep_of_a_file_is_found_by_its_name_and_by_the_file(tmp_path) -> None:
    path = tmp_path / "one file.py"
    path.write_text(FILE)
    steps = Words(assignments=("training.steps=9",))
    named = launch(tmp_path, steps, load_sweep(path), file=path)
    assert runs(tmp_path, "own") == runs(tmp_path, str(path)) == runs(tmp_path) == named
    path.unlink()
    assert f"{path}: no such sweep file" in refused(tmp_path, "own")


def test_a_name_is_quoted_for_the_shell(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TGDP_RESULTS", str(tmp_path))
    sweep = replace(masking(), name="my own")
    assert Wanted(Words(), tmp_path).status(sweep, "--watch") == (
        "tgdp-sweep status 'my own' --watch"
    )


def test_what_it_cannot_go_by_is_named(tmp_path) -> None:
    launch(tmp_path, Words())
    file = tmp_path / "sweeps" / "masking.last.json"
    file.write_text(file.read_text().replace('"data": null', '"data": "/gone"'))
    said = refused(tmp_path)
    assert "/gone" in said
    assert f"{file}; for another base give --preset" in said
    file.write_text("{")
    assert f"{file}: cannot be read" in refused(tmp_path)


def test_a_command_that_is_named_finds_the_results(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("TGDP_RESULTS", raising=False)
    assert in_results("tgdp-report sync", Path("results")) == "tgdp-report sync"
    there = tmp_path / "my results"
    assert in_results("tgdp-report sync", there) == f"tgdp-report sync --results '{there}'"
    monkeypatch.setenv("TGDP_RESULTS", str(there))
    assert in_results("tgdp-report sync", there) == "tgdp-report sync"
    assert in_results("tgdp-report sync", Path("results")) == "tgdp-report sync --results results"


def refused(results: Path, sweep: str = "masking") -> str:
    error = call(results, "status", sweep).exception
    assert isinstance(error, UserError)
    return str(error)


def text(results: Path, *words: str) -> str:
    return call(results, "status", "masking", *words).output
