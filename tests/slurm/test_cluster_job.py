"""A job of a cluster tells SLURM the truth, and queues itself again only where it should."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
from filelock import FileLock
from made_up import MadeUp, make_up

from tgdp.config import Config, dump, override
from tgdp.data.synthetic import embedded
from tgdp.data.synthetic.spec import EMBEDDED
from tgdp.errors import UserError
from tgdp.presets import tiny
from tgdp.sweep.job import Job
from tgdp.sweep.slurm import jobs
from tgdp.sweep.slurm.cluster_job import LEFT, ClusterJob, StageFailedError
from tgdp.training.run_directory import RunDirectory, Status

SHOWN = "JobId=7 JobState={state} Reason={reason} EndTime={end} PreemptTime={preempt}"
REQUEUES = """\
case "$*" in
  *show*) echo '{shown}' ;;
  *) echo "$*" >> {folder}/requeued ;;
esac
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr("tgdp.sweep.slurm.requeue.PAUSE_S", 0.0)
    made = make_up(tmp_path / "bin", monkeypatch)
    _controller(made)
    return made


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "run")


def succeed(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    run.set_status(replace(run.status(), step=2, total_steps=2, saved=2))
    return True


def fail(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    raise ValueError("not to be")


def be_told(run: RunDirectory, config: Config, should_stop: Callable[[], bool]) -> bool:
    os.kill(os.getpid(), signal.SIGUSR2)
    assert should_stop()
    run.set_status(replace(run.status(), step=1, total_steps=2, saved=1))
    return False


def job(
    run: RunDirectory, work: object, config: Config | None = None, **fields: object
) -> ClusterJob:
    name = f"{__name__}:{work.__name__}"  # type: ignore[attr-defined]
    part = Job(
        str(run.path), dump(config or tiny()), name, settled=("trained", "done"), leaves="trained"
    )
    return ClusterJob(part, **{"stage": "train", "profile": "own", "restarts": 9, **fields})  # type: ignore[arg-type]


def test_one_that_did_its_work_ends_well(made: MadeUp, run: RunDirectory) -> None:
    assert job(run, succeed)() == "trained"
    assert not (made.folder / "requeued").exists()


def test_one_that_failed_says_so_with_its_traceback_and_stays_out(
    made: MadeUp, run: RunDirectory
) -> None:
    with pytest.raises(StageFailedError, match=r'(?s)not to be.*raise ValueError\("not to be"\)'):
        job(run, fail)()

    assert run.status().state == "failed"
    assert not (made.folder / "requeued").exists()


def test_one_that_was_told_to_go_saves_and_queues_again(made: MadeUp, run: RunDirectory) -> None:
    with pytest.raises(SystemExit) as left:
        job(run, be_told)()

    assert left.value.code == LEFT
    assert run.status().state == "interrupted"
    assert (made.folder / "requeued").read_text() == "requeue 7\n"


@pytest.mark.parametrize(
    ("shown", "requeued"),
    [
        ({"state": "RUNNING"}, True),
        ({"state": "COMPLETING", "preempt": "2026-01-01T00:00:00"}, True),
        ({"state": "COMPLETING", "reason": "TimeLimit"}, True),
        ({"state": "COMPLETING"}, False),  # Cancelled: `scontrol requeue` would bring it back.
        ({"state": "CANCELLED"}, False),
        ({"state": "COMPLETING", "end": "Unknown"}, False),  # SLURM does so itself.
        ({"state": "PENDING"}, False),
    ],
)
def test_one_that_somebody_cancelled_stays_out(
    made: MadeUp, run: RunDirectory, shown: dict[str, str], requeued: bool
) -> None:
    _controller(made, **shown)

    with pytest.raises(SystemExit):
        job(run, be_told)()

    assert (made.folder / "requeued").exists() == requeued


def test_it_stays_out_where_that_is_not_allowed_or_was_done_often_enough(
    made: MadeUp, run: RunDirectory
) -> None:
    with pytest.raises(SystemExit):
        job(run, be_told, restarts=0)()
    with pytest.raises(SystemExit):
        job(run, be_told, restarts=2)()

    assert run.status().attempt == 2
    assert not (made.folder / "requeued").exists()


def test_a_controller_that_does_not_answer_costs_no_step(made: MadeUp, run: RunDirectory) -> None:
    made.command("scontrol", f"echo no >> {made.folder}/asked; exit 1")

    with pytest.raises(SystemExit):
        job(run, be_told)()

    assert run.status().state == "interrupted"
    assert len((made.folder / "asked").read_text().split()) == 3


def test_a_node_without_scontrol_costs_no_step(
    made: MadeUp, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit):
        job(run, be_told)()

    assert run.status().state == "interrupted"


@pytest.mark.parametrize(
    ("stage", "fingerprint", "makes"),
    [
        ("train", EMBEDDED.fingerprint, True),
        ("train", "0123456789abcdef", False),
        ("evaluate", EMBEDDED.fingerprint, False),
    ],
)
def test_a_training_makes_the_embedded_benchmark_and_nothing_else_does(
    made: MadeUp,
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    fingerprint: str,
    makes: bool,
) -> None:
    asked: list[tuple[Path, int]] = []
    monkeypatch.setattr(embedded, "ensure", lambda folder, cores: asked.append((folder, cores)))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    data = {"data.fingerprint": fingerprint, "data.folder": "/data/embedded"}
    _state(run, "done" if stage == "evaluate" else "interrupted")

    job(run, succeed, stage=stage, config=override(tiny(), data))()

    assert asked == ([(Path("/data/embedded"), 1)] if makes else [])


def test_what_keeps_it_from_being_made_is_said(
    made: MadeUp, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, cores: int) -> None:
        raise UserError(f"{folder}: no room")

    monkeypatch.setattr(embedded, "ensure", full)
    data = {"data.fingerprint": EMBEDDED.fingerprint, "data.folder": "/data/embedded"}

    with pytest.raises(StageFailedError, match="cannot be made: /data/embedded: no room"):
        job(run, succeed, config=override(tiny(), data))()


def test_an_evaluation_of_what_is_not_trained_leaves_the_run_as_it_is(
    made: MadeUp, run: RunDirectory
) -> None:
    _state(run, "interrupted")

    with pytest.raises(StageFailedError, match="is interrupted, not trained"):
        job(run, succeed, stage="evaluate")()

    assert (run.status().state, run.status().attempt) == ("interrupted", 1)


@pytest.mark.parametrize("state", ["trained", "done"])
def test_a_successor_leaves_where_nothing_is_to_be_done(
    made: MadeUp, run: RunDirectory, state: str
) -> None:
    _state(run, state)

    assert job(run, fail, former="6")() == state
    assert run.status().attempt == 1


@pytest.mark.parametrize("state", ["failed", "diverged"])
def test_a_successor_of_what_failed_leaves_and_lets_no_evaluation_start(
    made: MadeUp, run: RunDirectory, state: str
) -> None:
    _state(run, state)

    with pytest.raises(SystemExit) as left:
        job(run, succeed, former="6")()

    assert (left.value.code, run.status().state, run.status().attempt) == (LEFT, state, 1)


@pytest.mark.parametrize(
    ("work", "restarts", "cancels"),
    [(succeed, 0, "8 9"), (fail, 0, "8 9"), (be_told, 0, ""), (succeed, 9, "")],
)
def test_successors_leave_the_queue_when_nobody_needs_them(
    made: MadeUp, run: RunDirectory, work: object, restarts: int, cancels: str
) -> None:
    _state(run, "interrupted")
    chain = [("5", "train", "/s/old"), ("10", "evaluate", "/s/new")]
    chain[1:1] = [(number, "train", "/s/new") for number in ("6", "7", "8", "9")]
    for number, stage, folder in chain:
        words = {"profile": "own", "submitted": 0.0, "user": "me", "folder": folder, "log": ""}
        jobs.append(run, jobs.JobRecord(number, None, stage, **words))  # type: ignore[arg-type]

    with suppress(StageFailedError, SystemExit):
        job(run, work, restarts=restarts)()

    cancelled = made.folder / "cancelled"
    assert (cancelled.read_text().strip() if cancelled.exists() else "") == cancels


def test_a_successor_leaves_if_the_one_before_it_was_cancelled(
    made: MadeUp, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _state(run, "interrupted")
    monkeypatch.setattr("tgdp.sweep.slurm.cluster_job.was_cancelled", lambda job: job == "6")

    with pytest.raises(SystemExit) as left:
        job(run, succeed, former="6")()
    assert (left.value.code, run.status().state) == (LEFT, "interrupted")
    assert job(run, succeed, former="5")() == "trained"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"restarts": 1}, "1 jobs are all that it may use up"),
        ({"restarts": 0, "former": "6"}, "the jobs of its chain are used up"),
        ({"restarts": 0}, ""),
    ],
)
def test_that_nobody_goes_on_with_it_is_said(
    made: MadeUp, run: RunDirectory, fields: dict[str, object], said: str
) -> None:
    with pytest.raises(SystemExit):
        job(run, be_told, **fields)()

    status = run.status()
    assert status.state == "interrupted"
    assert (said in status.error) if said else status.error == ""


def test_one_that_is_noted_twice_does_not_cancel_itself(made: MadeUp, run: RunDirectory) -> None:
    _state(run, "interrupted")
    noted = jobs.JobRecord("7", None, "train", "own", 0.0, "me", "/s", "")
    for _ in range(2):
        jobs.append(run, noted)

    assert job(run, succeed, restarts=0)() == "trained"
    assert not (made.folder / "cancelled").exists()


def test_one_that_finds_another_at_work_lets_nothing_begin_behind_it(
    made: MadeUp, run: RunDirectory
) -> None:
    _state(run, "interrupted")
    with FileLock(run.lock_file), pytest.raises(SystemExit) as left:
        job(run, succeed)()

    assert (left.value.code, run.status().attempt) == (LEFT, 1)


def test_a_successor_waits_for_the_lock_of_a_node_that_failed(
    made: MadeUp, run: RunDirectory
) -> None:
    _state(run, "interrupted")
    lock = FileLock(run.lock_file, thread_local=False)
    lock.acquire()
    Timer(1.5, lock.release).start()

    assert job(run, succeed, restarts=0, former="5")() == "trained"


def test_one_that_slurm_brings_back_again_and_again_comes_to_an_end(
    made: MadeUp, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    _state(run, "interrupted")
    run.set_status(replace(run.status(), attempt=9))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "8")

    with pytest.raises(StageFailedError, match="9 jobs are all that it may use up"):
        job(run, succeed, restarts=9)()

    assert job(run, succeed, restarts=10)() == "trained"


def test_a_job_that_nobody_noted_notes_itself_once(
    made: MadeUp, run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBMITIT_FOLDER", str(tmp_path / "s" / "%j"))
    (tmp_path / "s" / "7").mkdir(parents=True)
    stray = tmp_path / "s" / "7" / "7_submitted.pkl.save_tmp"
    stray.touch()
    _state(run, "interrupted")

    for _ in range(2):
        job(run, succeed)()

    (record,) = jobs.read(run)
    assert (record.job, record.array, record.stage) == ("7", None, "train")
    assert record.folder == str(tmp_path / "s")
    assert record.log == str(tmp_path / "s" / "7" / "7_0_log.out")
    assert not stray.exists()


def test_jobs_of_a_run_survive_a_torn_line(run: RunDirectory) -> None:
    run.path.mkdir()
    one = jobs.JobRecord("7_1", "7", "train", "own", 1.0, "me", "/s", "/s/log")
    jobs.append(run, one)
    with (run.path / jobs.JOBS_FILE).open("a") as file:
        file.write('{"job": "8", "arr')

    assert jobs.read(run) == [one]
    jobs.append(run, one._replace(job="9"))
    assert [record.job for record in jobs.read(run)] == ["7_1", "9"]


def test_it_unpickles_without_anything_heavy() -> None:
    import subprocess
    import sys

    heavy = ["torch", "mlflow", "numpy", "pandas", "pydantic", "submitit", "rich"]
    load, look = (
        "import sys, tgdp.sweep.slurm.cluster_job",
        "[m for m in sys.argv if m in sys.modules]",
    )
    code = f"{load}\nprint({look})"
    done = subprocess.run(
        (sys.executable, "-c", code, *heavy), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def _controller(made: MadeUp, **shown: str) -> None:
    words = {"state": "RUNNING", "reason": "None", "end": "2026-01-01T00:00:00", "preempt": "N/A"}
    text = SHOWN.format(**{**words, **shown})
    made.command("scontrol", REQUEUES.format(shown=text, folder=made.folder))


def _state(run: RunDirectory, state: str) -> None:
    run.create(dump(tiny()))
    saved = 2 if state in {"trained", "done"} else 1
    run.set_status(Status(state, step=saved, total_steps=2, saved=saved, attempt=1))  # type: ignore[arg-type]
    if state == "done":
        run.result_file.write_text("{}")
