"""The base of a sweep: what the command line may say, and what is refused with a reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from tgdp.errors import UserError
from tgdp.sweep.declare import Variant, expand
from tgdp.sweep.discover import load_sweep, sweep_names
from tgdp.sweep.resolve import Words, embedded_folder, parse_seeds, resolve_base

RESULTS = Path("results")


def test_the_data_folder_says_what_it_holds(make_data, toy) -> None:
    folder = make_data()
    data = resolve_base(toy, Words(data=folder), RESULTS).config.data
    assert (data.name, data.fingerprint, data.folder) == ("toy", "0123456789abcdef", folder)


def test_the_same_data_elsewhere_is_the_same_science(make_data, toy, tmp_path: Path) -> None:
    here = make_data()
    there = tmp_path / "moved"
    first = expand(toy, resolve_base(toy, Words(data=here), RESULTS).config)
    here.rename(there)
    second = expand(toy, resolve_base(toy, Words(data=there), RESULTS).config)
    assert [cell.signature for cell in first] == [cell.signature for cell in second]


@pytest.mark.parametrize(
    ("splits", "train", "test"),
    [
        ({"train": 9, "retrieval": 5, "probe": 3}, "train", "retrieval"),
        ({"train": 9, "probe": 3}, "train", "train"),
        ({"only": 9}, "only", "only"),
    ],
)
def test_splits_follow_from_what_is_there(make_data, toy, splits, train: str, test: str) -> None:
    base = resolve_base(toy, Words(data=make_data(splits)), RESULTS)
    assert (base.config.data.train_split, base.config.evaluation.split) == (train, test)
    assert any("TRAINING CLIPS" in note for note in base.notes) == (train == test)


def test_a_split_can_be_named(make_data, toy) -> None:
    words = Words(data=make_data(), assignments=("evaluation.split=train",))
    assert resolve_base(toy, words, RESULTS).config.evaluation.split == "train"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("evaluation.split=nowhere", r"no such split. Valid: train \(64 clips\), retrieval"),
        ("data.train_split=nowhere", "no such split"),
        ("training.stepps=5", r"unknown key 'training.stepps'. Did you mean 'training.steps'\?"),
        ("training.steps=many", "training.steps: .*valid integer"),
        ("reconstruction.mask.ratio=1.0", "reconstruction.mask.ratio: .*less than 1"),
        ("contrastive.mask.ratio=0.3", "sweep 'toy' varies this key"),
        ("seed=3", "--seeds"),
        ("data.name=x", "--data DIR"),
        ("training.steps", "expected key=value"),
    ],
)
def test_a_wrong_assignment_is_refused(make_data, toy, word: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        resolve_base(toy, Words(data=make_data(), assignments=(word,)), RESULTS)


def test_wrong_presets_and_data_are_refused(make_data, toy, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown preset 'tinny'"):
        resolve_base(toy, Words(preset="tinny"), RESULTS)
    with pytest.raises(UserError, match="--data DIR"):
        resolve_base(toy, Words(preset="paper"), RESULTS)
    with pytest.raises(UserError, match="no such folder"):
        resolve_base(toy, Words(data=tmp_path / "absent"), RESULTS)
    with pytest.raises(UserError, match="version"):
        resolve_base(toy, Words(data=make_data(version=99)), RESULTS)


def test_without_data_the_embedded_benchmark_is_meant_and_not_made(toy, tmp_path: Path) -> None:
    base = resolve_base(toy, Words(), tmp_path)
    assert base.embedded
    assert base.config.data.fingerprint
    assert base.config.data.folder == embedded_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["tiny", "small", "paper"])
@pytest.mark.parametrize("name", sweep_names())
def test_every_row_of_every_sweep_resolves_and_is_a_run_of_its_own(
    make_data, preset: str, name: str
) -> None:
    sweep = load_sweep(name)
    base = resolve_base(sweep, Words(preset, make_data()), RESULTS)
    cells = expand(sweep, base.config)
    assert len({cell.signature for cell in cells}) == len(sweep.variants) * len(sweep.seeds)


@pytest.mark.parametrize(
    ("text", "seeds"), [(None, None), ("3", (0, 1, 2)), ("0,2", (0, 2)), ("7,", (7,))]
)
def test_seeds_are_a_number_or_a_list(text: str | None, seeds: tuple[int, ...] | None) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,a", "1,1", "1.5", ","])
def test_bad_seeds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


def test_rows_that_start_from_different_files_are_different_runs(make_data, toy, tmp_path) -> None:
    rows = []
    for name in ("a", "b", "copy of a"):
        file = tmp_path / f"{name}.pth"
        file.write_bytes(name.removeprefix("copy of ").encode())
        rows.append(Variant(name, {"init.source": "file", "init.file": str(file)}))
    sweep = replace(toy, variants=tuple(rows))
    cells = expand(sweep, resolve_base(sweep, Words(data=make_data()), RESULTS).config, (0,))
    first, other, copy = (cell.signature for cell in cells)
    assert first == copy != other
