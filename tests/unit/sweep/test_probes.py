"""Which probes are asked for, and which of them count as there."""

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.fake_runs import cells, write_run
from tests.lives import call
from tgdp.errors import UserError
from tgdp.evaluation.probe.settings import ProbeSettings
from tgdp.evaluation.record import keep
from tgdp.sweep.plan import make_plan
from tgdp.sweep.probes import Probe, ProbeWords, ask, missing
from tgdp.sweep.show import summary

SPLITS = {"train": 64, "probe_train": 8, "probe_test": 8}
PROBE = Probe("linear", "av", "probe_train", "probe_test")


def kept(run, **changes: Any) -> None:
    """Keep what `PROBE` would have measured, but for some fields."""
    settings = ProbeSettings("linear", "singlelabel", "av")
    found: dict[str, Any] = {
        "protocol": "probe-linear/v1",
        "dataset": "embedded",
        "split": "probe_test",
        "train_split": "probe_train",
        "fingerprint": "3fa9c2",
        "which": "last",
        "modality": "av",
        "settings": {**asdict(settings), "rates": settings.grid},
    }
    found |= changes
    prefix = f"{found['protocol']}/embedded"
    prefix += "" if found["which"] == "last" else f"/{found['which']}"
    keep(run, {**found, "metrics": {f"{prefix}/av/top1": 0.5}})


def test_every_kind_is_asked_for_with_every_modality_once() -> None:
    words = ProbeWords(("linear", "attention", "linear"), "av, a,av")
    assert [str(probe) for probe in ask(words, "toy", SPLITS)] == [
        "probe-linear/v1 av",
        "probe-linear/v1 a",
        "probe-attention/v1 av",
        "probe-attention/v1 a",
    ]
    assert ask(ProbeWords(), "toy", {}) == ()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (ProbeWords(("line",)), "--probe 'line'.*'linear'.*attention, linear"),
        (ProbeWords(("linear",), "audio"), "--modality 'audio'.*Valid: a, av, v"),
        (ProbeWords(("linear",), ","), "--modality: nothing named"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_that_are(words: ProbeWords, said: str) -> None:
    with pytest.raises(UserError, match=said):
        ask(words, "toy", SPLITS)


def test_data_without_a_split_to_probe_is_refused_with_its_splits() -> None:
    with pytest.raises(UserError, match=r"no split probe_test or test .* train \(64 clips\)"):
        ask(ProbeWords(("linear",)), "toy", {"train": 64})


@pytest.mark.parametrize(
    "splits", [SPLITS, {"train": 9, "test": 9}, {"train": 9, "probe_test": 9, "test": 9}]
)
def test_splits_are_those_that_the_command_takes(prepared, splits: dict[str, int]) -> None:
    from tgdp.evaluation.probing import probe_splits

    folder = prepared()
    card = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(card | {"splits": splits}))
    (probe,) = ask(ProbeWords(("linear",)), "toy", splits)
    assert (probe.train_split, probe.test_split) == probe_splits(folder, None, None)


def test_what_was_measured_is_not_missing(tmp_path) -> None:
    run = write_run(tmp_path, cells()[0])
    assert missing(run, "3fa9c2", (PROBE,)) == (PROBE,)
    kept(run)
    assert missing(run, "3fa9c2", (PROBE,)) == ()
    other = PROBE._replace(modality="a")
    assert missing(run, "3fa9c2", (PROBE, other)) == (other,)


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": "probe-linear/v0"},
        {"protocol": "probe-attention/v1"},
        {"fingerprint": "0000"},
        {"which": "best"},
        {"modality": "v"},
        {"split": "test"},
        {"train_split": "train"},
        {"settings": {**asdict(ProbeSettings("linear")), "seeds": (0,)}},
        {"settings": {}},
    ],
)
def test_what_was_measured_otherwise_is_missing(tmp_path, changes: dict[str, Any]) -> None:
    run = write_run(tmp_path, cells()[0])
    kept(run, **changes)
    assert missing(run, "3fa9c2", (PROBE,)) == (PROBE,)


def test_runs_that_are_done_are_left_to_do_for_their_probes(toy, tmp_path) -> None:
    made = cells()[:3]
    done, _, failed = (
        write_run(tmp_path, cell, state)
        for cell, state in zip(made, ("done", "done", "failed"), strict=True)
    )
    kept(done)
    plan = make_plan(toy, made, tmp_path, probes=(PROBE,))
    assert [run.cell for run in plan.todo()] == [made[1]]
    assert [len(run.missing) for run in plan.runs] == [0, 1, 1]
    lines = summary(plan, 1)
    assert lines[1] == "3 probes (probe-linear/v1 av): 1 done, 2 missing."
    assert not any(line.startswith(("Time left", "Nothing left")) for line in lines)
    assert make_plan(toy, made, tmp_path).todo() == ()
    assert failed.status().state == "failed"


def test_a_modality_without_a_probe_is_refused(tmp_path) -> None:
    words = ("masking", "--seeds", "1", "--dry-run")
    done = call(tmp_path, *words, "--modality", "a")
    assert isinstance(done.exception, UserError)
    assert str(done.exception) == "--modality: is only for --probe"
    for fine in ((), ("--probe", "linear"), ("--probe", "linear", "--modality", "a")):
        done = call(tmp_path, *words, *fine)
        assert done.exit_code == 0 or "has no split" in str(done.exception), done.output
