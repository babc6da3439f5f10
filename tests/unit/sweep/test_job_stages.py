"""Training and evaluation as two jobs: what each leaves, and what is left to the other."""

import json
from collections.abc import Callable
from dataclasses import replace

from tgdp.config import Config
from tgdp.sweep.stages import IN_TWO, Stage
from tgdp.sweep.state import read_state
from tgdp.training.run_directory import RunDirectory


def finish(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    run.result_file.write_text("{}")
    return True


def take_all_steps(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    run.set_status(replace(run.status(), step=5, total_steps=5, saved=5))
    return True


def test_a_run_that_is_trained_is_left_to_the_job_that_evaluates_it(make_job) -> None:
    stage = Stage("work_of_a_test:work", "trained")
    words = {"settled": stage.settled, "leaves": stage.leaves}
    run, job = make_job(take_all_steps, **words)
    assert job() == "trained"
    before = run.status()
    assert job() == "trained"
    assert run.status() == before
    assert make_job(finish)[1]() == "done"
    assert run.status().attempt == 2
    assert make_job(take_all_steps, **words)[1]() == "done"


def test_what_is_left_to_do_is_told_by_what_is_saved(make_job) -> None:
    run, job = make_job(lambda *_: False)
    job()
    for saved, state, stage in ((4, "interrupted", IN_TWO.train), (5, "trained", IN_TWO.evaluate)):
        run.set_status(replace(run.status(), state="interrupted", total_steps=5, saved=saved))
        assert run.status().state == read_state(run).state == state
        failed = replace(run.status(), state="failed")
        assert IN_TWO.next(run.status()) == IN_TWO.next(failed) == stage
    run.result_file.write_text("{}")
    assert read_state(run).state == "done"


def test_where_it_was_trained_stays_written_when_it_is_evaluated_elsewhere(
    make_job, monkeypatch
) -> None:
    run, job = make_job(take_all_steps, leaves="trained")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    job()
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    make_job(finish)[1]()
    stored = json.loads(run.environment_file.read_text())
    assert (stored["threads"], stored["evaluation"]["threads"]) == ("7", "3")
