"""`tgdp-sweep tune` as it is typed: looking, refusals, data for programs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.study_runs import RATIO, TEMPERATURE, card_in
from tgdp.cli.sweep import build_app
from tgdp.errors import UserError
from tgdp.sweep.resolve import Words
from tgdp.sweep.tune.declare import Study
from tgdp.sweep.tune.measure import Measured
from tgdp.sweep.tune.opening import open_book
from tgdp.sweep.tune.rows import short_names, told
from tgdp.sweep.tune.task import make_task

STUDY = f"""
from tgdp.sweep.tune.declare import Choice, Constraint, Objective, Range, Study
STUDY = Study(
    "toy", "Does it work?",
    (Choice("{RATIO}", (0.0, 0.5)), Range("{TEMPERATURE}", 0.02, 0.2, log=True)),
    (Objective("retrieval", "maximize"), Objective("hours", "minimize")),
    (Constraint("hours", upper=1.0),),
)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy.py").write_text(STUDY)
    card_in(tmp_path / "data")
    return tmp_path


def call(folder: Path, *words: str) -> Result:
    places = ["--data", str(folder / "data"), "--results", str(folder / "results")]
    return CliRunner().invoke(build_app(), ["tune", str(folder / "toy.py"), *places, *words])


def error(folder: Path, *words: str) -> str:
    done = call(folder, *words)
    assert isinstance(done.exception, UserError), done.output
    return str(done.exception)


def tell(folder: Path, *values: tuple[float, float]) -> str:
    """Tell some trials, and return the name of the study."""
    task = make_task(_study(folder), Words(data=folder / "data"), 0, folder / "results")
    book = open_book(task)
    for r1, hours in values:
        number = book.ask().number
        book.note(number, "run", f"run{number}")
        book.complete(number, Measured((r1, hours), {"hours <= 1": hours - 1}))
    return task.name


def _study(folder: Path) -> Study:
    from tgdp.sweep.discover import load_study

    return load_study(folder / "toy.py")


def test_a_dry_run_says_what_the_study_is_and_writes_nothing(folder: Path) -> None:
    done = call(folder, "--dry-run", "--trials", "7")
    assert done.exit_code == 0, done.output
    for words in (
        "Does it work?",
        "contrastive.mask.ratio: 0 | 0.5",
        "contrastive.temperature: 0.02 .. 0.2, log",
        "Objectives: retrieval (maximize), hours (minimize).",
        "Constraints: hours <= 1.",
        ".log (new)",
        "Trials so far: none; 7 to go.",
        "0 finished runs lie in its space",
        "retrieves among split 'retrieval' (32 clips)",
    ):
        assert words in done.output
    assert not (folder / "results").exists()


def test_a_dry_run_says_how_far_the_study_is_and_what_is_best(folder: Path) -> None:
    name = tell(folder, (0.3, 0.5), (0.9, 3.0), (0.2, 0.6))
    done = call(folder, "--dry-run")
    assert "Trials so far: 2 complete, 1 infeasible; 17 to go." in done.output
    assert f"Pareto front of {name}" in done.output
    assert "t000" in done.output
    assert "30.0 %" in done.output
    assert "90.0 %" not in done.output


def test_trials_as_data(folder: Path) -> None:
    assert json.loads(call(folder, "--json").stdout)["trials"] == []
    name = tell(folder, (0.3, 0.5), (0.9, 3.0))
    told_ = json.loads(call(folder, "--json").stdout)
    assert told_["study"] == name
    first, second = told_["trials"]
    assert first["values"] == {"retrieval": 0.3, "hours": 0.5}
    assert (first["best"], second["best"]) == (True, False)
    assert (second["state"], second["excess"]) == ("infeasible", {"hours <= 1": 2.0})
    assert set(first["params"]) == {RATIO, TEMPERATURE}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sampler", "grid"), r"Range('contrastive.temperature') has no step"),
        (("--prune", "--cluster", "debug"), "--prune: nothing can be stopped"),
        (("--jobs", "2", "--cluster", "debug"), "runs one at a time"),
        (("--profile", "mine"), "--profile: is only for --cluster slurm"),
        (("--cluster", "slurm"), "name a profile with --profile NAME"),
        (("--set", "seed=3"), "--set seed: give the seed with --seed"),
        (("--set", f"{RATIO}=0.1"), "varies this key"),
        (("--preset", "tinny"), "Did you mean 'tiny'"),
        (("--report",), "no study 'toy-"),
        (("--storage", "mystorage", "--dry-run"), "expected a URL"),
        (("--prune", "--set", "training.steps=1"), "--prune: runs of 1 epochs"),
    ],
)
def test_words_that_make_no_sense_are_refused_by_name(folder: Path, words, said: str) -> None:
    assert said in error(folder, *words)


def test_hours_of_gpus_are_refused_on_a_machine_without(folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    file = folder / "toy.py"
    file.write_text(STUDY.replace('"hours", "minimize"', '"gpu_hours", "minimize"'))
    assert "gpu_hours: this machine saw no GPU; take 'hours'" in error(folder)


def test_names_of_keys_are_as_short_as_is_clear() -> None:
    keys = ["contrastive.mask.ratio", "reconstruction.mask.ratio", "teacher.momentum", "passes"]
    assert list(short_names(keys).values()) == keys
    assert short_names(keys[:1]) == {"contrastive.mask.ratio": "mask.ratio"}


def test_values_are_read_as_people_do() -> None:
    assert told("retrieval", 0.256) == "25.6 %"
    assert told("retrieval/x/a2v/r5", 0.5) == "50.0 %"
    assert told("retrieval/x/a2v/medr", 3.0) == "3"
    assert told("hours", 0.25) == "0.25 h"


LOOK = """
import json, sys
from tgdp.cli.sweep import main
try:
    main()
except SystemExit:
    heavy = {"torch", "timm", "mlflow", "optuna", "submitit", "pandas", "sklearn", "matplotlib"}
    print("LOADED", sorted(heavy & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    "words", [("--help",), ("--dry-run",), ("--json",), ("--dry-run", "--prune")]
)
def test_looking_at_a_new_study_loads_nothing_heavy(folder: Path, words: tuple[str, ...]) -> None:
    places = [str(folder / "toy.py"), "--data", str(folder / "data")]
    places += ["--set", "training.batch_size=16", "--results", str(folder / "results")]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, "tune", *places, *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("LOADED []\n"), done.stdout + done.stderr
    assert not (folder / "results").exists()
