"""Probes as jobs of the queue: those that are missing, once, whatever becomes of the process."""

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from queue_bench import Bench, bench, end, wait_for

__all__ = ["bench"]

LINEAR = ("probe-linear-av", "probe-linear-a")
BOTH = (*LINEAR, "probe-attention-av", "probe-attention-a")


def probed(bench: Bench) -> Counter[str]:
    """Return how often each probe was begun, of all runs."""
    return Counter(word for _, word, _, _ in bench.trace() if word.startswith("probe"))


def kept(bench: Bench) -> Counter[str]:
    """Return how many runs keep each probe."""
    names = (path.name for run in bench.runs() for path in run.evaluations.glob("*"))
    return Counter(
        name.replace("-v1-toy-probe_test-last", "").removesuffix(".json") for name in names
    )


def test_probes_of_runs_that_are_done_are_measured_once(bench: Bench) -> None:
    assert bench.run()[0] == 0
    statuses = [run.status() for run in bench.runs()]
    code, output = bench.run(2, "local", "--probe", "linear")
    assert code == 0, output
    assert "6 probes (probe-linear/v1 av, probe-linear/v1 a): 0 done, 6 missing." in output
    assert kept(bench) == probed(bench) == dict.fromkeys(LINEAR, 3)
    # Nothing is trained or evaluated again, and the time that a run took stays what it was.
    assert (set(bench.begun().values()), set(bench.evaluated().values())) == ({1}, {1})
    assert [run.status() for run in bench.runs()] == statuses

    code, output = bench.run(2, "local", "--probe", "linear,attention")
    assert code == 0, output
    assert "12 probes" in output
    assert "6 done, 6 missing." in output
    assert kept(bench) == probed(bench) == dict.fromkeys(BOTH, 3)
    code, output = bench.run(2, "local", "--probe", "linear,attention")
    assert (code, probed(bench)) == (0, dict.fromkeys(BOTH, 3))
    assert "Nothing left to run." in output


def test_new_runs_are_trained_evaluated_and_probed_in_one_launch(bench: Bench) -> None:
    code, output = bench.run(1, "debug", "--probe", "linear")
    assert code == 0, output
    words = [(word, run) for _, word, run, _ in bench.trace()]
    order = ("begin", "end", "evaluate", *LINEAR)
    assert words == [(word, run) for word, run in words[:: len(order)] for word in order]
    assert kept(bench) == dict.fromkeys(LINEAR, 3)


def test_a_probe_that_fails_is_said_and_costs_neither_its_run_nor_other_probes(
    bench: Bench,
) -> None:
    code, output = bench.run(2, "local", "--probe", "linear", FAKE_UNLABELLED="probe-linear-av")
    assert code == 1
    assert bench.states() == {"done": 3}
    assert "its probes: ValueError: no labels for probe-linear-av" in output
    assert "again: the same command" in output
    assert "TABLE" in output
    assert kept(bench) == {"probe-linear-a": 3}
    assert bench.run(2, "local", "--probe", "linear")[0] == 0
    assert probed(bench) == {"probe-linear-av": 6, "probe-linear-a": 3}


def test_a_probe_whose_process_dies_is_said_and_measured_by_the_next_launch(bench: Bench) -> None:
    dies = {"FAKE_FAINT": "probe-linear-a/0.25"}
    code, output = bench.run(2, "local", "--probe", "linear", **dies)
    assert code == 1
    assert "its probes: its process ended" in output
    assert kept(bench) == {"probe-linear-av": 3, "probe-linear-a": 2}
    assert bench.run(2, "local", "--probe", "linear")[0] == 0
    assert probed(bench) == {"probe-linear-av": 3, "probe-linear-a": 4}


@pytest.mark.parametrize("polite", [True, False])
def test_a_launch_stopped_or_killed_among_its_probes_goes_on_with_them(
    bench: Bench, polite: bool
) -> None:
    assert bench.run()[0] == 0
    process = bench.start(2, "local", "--probe", "linear", FAKE_LINGER="1")
    wait_for(lambda: probed(bench).total() == 2)
    if polite:
        process.terminate()
        assert end(process)[0] == 130
    else:
        process.kill()
        process.wait()
    # A job whose launch is gone ends; until then it holds its run, and this launch waits for it.
    code, output = bench.run(2, "local", "--probe", "linear")
    assert code == 0, output
    assert bench.states() == {"done": 3}
    assert kept(bench) == dict.fromkeys(LINEAR, 3)
    assert probed(bench) == {"probe-linear-av": 5, "probe-linear-a": 3}


def test_two_launches_at_once_measure_each_probe_once(bench: Bench) -> None:
    assert bench.run()[0] == 0
    both = [bench.start(2, "local", "--probe", "linear") for _ in range(2)]
    assert [end(process)[0] for process in both] == [0, 0]
    assert kept(bench) == probed(bench) == dict.fromkeys(LINEAR, 3)
