"""`plan --calibrate`: a few steps of each row are timed, and the plan reckons with them."""

import json
from types import SimpleNamespace

import pytest

from tests.fake_scheduler import accounted, open_scheduler
from tests.lives import call, noted, submitted
from tgdp.cli.sweep_calibrate import Calibration
from tgdp.config import dump
from tgdp.data.files import write_whole
from tgdp.errors import UserError
from tgdp.sweep import launch
from tgdp.sweep.calibrate import FOLDER, STEPS
from tgdp.sweep.machine import share_out
from tgdp.sweep.plan import Plan
from tgdp.training.run_directory import Status

BATCH = 48
"""Of tiny; each row of these takes a second a step, and its run ten seconds beside the steps."""

OVERHEAD_S = 10.0


class Timed:
    """Stands in for the queue: writes what short runs leave.

    Args:
        rates: Pairs a second of each stretch, the warm-up first.
    """

    def __init__(self, rates: tuple[float, ...]) -> None:
        self.rates = rates
        self.plans: list[Plan] = []
        self.ends_as, self.error = "done", "no room"

    def __call__(self, plan: Plan, *_, **__) -> SimpleNamespace:
        """Do as `launch` does."""
        self.plans.append(plan)
        for planned in plan.todo():
            run, config = planned.run, planned.cell.config
            run.create(dump(config))
            write_whole(run.environment_file, json.dumps({"gpus": ["0", "1"]}))
            for number, rate in enumerate(self.rates, 1):
                step = number * config.runtime.log_every
                values = {"perf/samples_per_s": rate}
                run.append({"kind": "metric", "step": step, "values": values})
            seconds = OVERHEAD_S + STEPS * BATCH / self.rates[-1]
            if self.ends_as == "done":
                run.result_file.write_text(json.dumps({"metrics": {}}))
            run.set_status(Status(state=self.ends_as, seconds=seconds, error=self.error))
        return SimpleNamespace(stopped=False)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, tmp_path):
    made = Timed((1.0, BATCH, BATCH, BATCH))
    monkeypatch.setattr(launch, "launch", made)
    monkeypatch.setattr("tgdp.cli.sweep_calibrate.ensure_embedded", lambda results: None)
    return made


def plan(results, *words: str) -> dict:
    done = call(results, "plan", "masking", "--seeds", "2", "--calibrate", "--json", *words)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_each_row_is_timed_once_and_counts_for_its_runs(tmp_path, queue) -> None:
    cells = noted(tmp_path)
    found = plan(tmp_path, "--set", "training.steps=600")
    (short,) = queue.plans
    assert [run.cell.variant.label for run in short.runs] == [cell.variant.label for cell in cells]
    assert {run.cell.config.training.steps for run in short.runs} == {STEPS}
    # The warm-up does not count: a step of 48 pairs takes a second.
    assert found["seconds_a_run"] == pytest.approx(OVERHEAD_S + 600)
    assert found["gpus_a_run"] == 2
    assert found["gpu_hours"] == pytest.approx(10 * 2 * (OVERHEAD_S + 600) / 3600)
    assert found["from"] == f"{STEPS} steps of each row"
    assert found["states"] == {"new": 10}


def test_what_was_timed_is_not_timed_again(tmp_path, queue) -> None:
    first = plan(tmp_path)
    assert plan(tmp_path)["seconds_a_run"] == first["seconds_a_run"]
    assert len(queue.plans) == 1
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").glob("*/status.json"))
    assert len(list((tmp_path / FOLDER / "runs").glob("*/status.json"))) == 5


def test_a_short_run_that_fails_is_named_with_its_error(tmp_path, queue) -> None:
    queue.ends_as = "failed"
    done = call(tmp_path, "plan", "masking", "--calibrate")
    assert "row '0.00' is failed (no room); mend that and calibrate again" in str(done.exception)


def test_a_profile_without_calibration_is_refused(tmp_path) -> None:
    done = call(tmp_path, "plan", "masking", "--profile", "testbed")
    assert "--profile: is only for --calibrate" in str(done.exception)


@pytest.fixture
def silent(monkeypatch, tmp_path):
    """A queue whose jobs end before tgdp begins, as one with a broken setup line does."""

    def launch_nothing(plan: Plan, *_, **__) -> SimpleNamespace:
        for number, planned in enumerate(plan.todo()):
            submitted(tmp_path / FOLDER, planned.cell, f"7_{number}")
        return SimpleNamespace(stopped=False)

    monkeypatch.setattr(launch, "launch", launch_nothing)
    monkeypatch.setattr("tgdp.cli.sweep_calibrate.ensure_embedded", lambda results: None)
    yield from open_scheduler(tmp_path / "bin", monkeypatch)


def test_of_a_job_that_failed_before_tgdp_began_slurm_tells(tmp_path, silent) -> None:
    silent.accounts(
        *(accounted(f"7_{n}", "FAILED", ExitCode="127:0", NodeList="node1") for n in range(5))
    )
    said = str(call(tmp_path, "plan", "masking", "--calibrate").exception)
    log = tmp_path / FOLDER / ".submissions" / "one" / "7_0" / "7_0_0_log.err"
    assert "is not done: its job 7_0 ended before tgdp began" in said
    assert f"(FAILED, exit code 127; log: {log}); mend that and calibrate again" in said


def test_of_a_job_that_nobody_knows_any_more_its_log_is_named(tmp_path, silent) -> None:
    said = str(call(tmp_path, "plan", "masking", "--calibrate").exception)
    assert "its job 7_0 ended before tgdp began (log: " in said


def test_a_run_of_this_machine_that_says_nothing_is_named_with_its_log(tmp_path, queue) -> None:
    queue.ends_as, queue.error = "interrupted", ""
    said = str(call(tmp_path, "plan", "masking", "--calibrate").exception)
    assert "is interrupted (stopped; log: " in said


@pytest.mark.parametrize(
    ("text", "jobs", "at_once"),
    [("array_parallelism: 3", None, 3), ("", None, 40), ("array_parallelism: 3", 5, 5)],
)
def test_a_cluster_goes_on_with_as_many_runs_as_its_profile_lets_it(
    tmp_path, monkeypatch, text: str, jobs: int | None, at_once: int
) -> None:
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path))
    (tmp_path / "own.yaml").write_text(f"walltime: 9\n{text}\n")
    assert Calibration(tmp_path, None, jobs, "own").at_once(40) == at_once


def test_this_machine_goes_on_with_as_many_as_it_has_slots(tmp_path) -> None:
    assert Calibration(tmp_path, None).at_once(40) == share_out(None).jobs
    assert Calibration(tmp_path, None, 3).at_once(40) == 3
    with pytest.raises(UserError, match="unknown profile 'none-such'"):
        Calibration(tmp_path, None, None, "none-such").at_once(40)


def test_a_calibration_on_a_cluster_counts_the_time_of_its_profile(
    tmp_path, queue, monkeypatch
) -> None:
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path))
    (tmp_path / "own.yaml").write_text("walltime: 9\narray_parallelism: 5\n")
    monkeypatch.setattr(Calibration, "_run", lambda self, short, console: queue(short))
    assert plan(tmp_path, "--profile", "own")["jobs"] == 5
