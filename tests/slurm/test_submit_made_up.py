"""What `sbatch` is given, what is noted, and what is left where it refuses; the cluster made up."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cluster_sweep import ClusterSweep
from made_up import MadeUp, make_up, option

from tests.unit.test_quick_start import SCRIPT
from tgdp.cli import sweep_slurm
from tgdp.errors import UserError
from tgdp.presets import tiny
from tgdp.sweep.declare import RETRIEVAL, Sweep, Variant, expand
from tgdp.sweep.plan import make_plan
from tgdp.sweep.slurm import jobs, sbatch
from tgdp.sweep.slurm.groups import Group
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.steps import at_once

GOLDEN = Path(__file__).with_name("golden_sbatch.txt")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    monkeypatch.setattr(sbatch, "WAITS_S", (0.0, 0.0))
    return make_up(tmp_path / "bin", monkeypatch)


@pytest.fixture
def toy(made: MadeUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterSweep:
    sweep = ClusterSweep(tmp_path)
    sweep.prepare(monkeypatch)
    return sweep


def rows(sweep: ClusterSweep, number: int) -> None:
    ratios = [index / 100 for index in range(number)]
    variants = tuple(Variant(str(ratio), {"contrastive.mask.ratio": ratio}) for ratio in ratios)
    sweep.sweep = Sweep("toy", "Toy", "Does it work?", "none", variants, RETRIEVAL, seeds=(0,))


def test_the_script_is_as_it_was(toy: ClusterSweep, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "account: research\nqos: high\nconstraint: h100&ib\ngpus: 2\ncpus: 3\narray_parallelism: 1"
    )
    toy.profile(text + "\nsetup: [module load cuda]\nenvironment: {NCCL_DEBUG: it's on}")

    toy.submit(show_script=True)

    shown = capsys.readouterr()
    assert shown.err.splitlines() == ["# NUMBER_1: train, 2 runs", "# NUMBER_2: evaluate, 2 runs"]
    assert _plain(shown.out, toy) == GOLDEN.read_text()
    assert not toy.results.exists()


def test_what_is_shown_is_what_is_submitted(
    toy: ClusterSweep, made: MadeUp, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.submit(show_script=True)
    shown = _plain(capsys.readouterr().out, toy)

    toy.submit()

    texts = "".join(made.submitted().values())
    assert _plain(texts, toy).replace("aftercorr:100", "aftercorr:NUMBER_1") == shown


def test_nothing_is_submitted_while_nobody_can_say_what_is_in_the_queue(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tgdp.sweep.slurm.command.WAITS_S", (0.0,))
    toy.submit()
    before = set(made.submitted())
    made.command("squeue", "echo 'error: Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(UserError, match="squeue does not answer, so nobody knows which jobs"):
        toy.submit()
    assert set(made.submitted()) == before


def test_a_results_folder_of_another_user_is_named(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(lock: object) -> None:
        raise PermissionError(13, "Permission denied", "/theirs/.submissions/lock")

    monkeypatch.setattr("filelock.FileLock.__enter__", refuse)
    with pytest.raises(UserError, match=r"/theirs/.submissions/lock: another user's; take a resu"):
        toy.submit()
    assert made.submitted() == {}


@pytest.mark.parametrize("name", [".submissions", ".snapshots"])
def test_nothing_is_run_from_where_others_may_write(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = toy.results / name
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(UserError, match=f"{name}: everybody may write to it"):
        toy.submit()
    folder.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(UserError, match=r"another user's; take a results folder"):
        toy.submit()
    assert not made.submitted()


def test_every_job_is_noted_with_its_run(toy: ClusterSweep, made: MadeUp) -> None:
    toy.submit()

    (folder,) = [path for path in (toy.results / ".submissions").iterdir() if path.is_dir()]
    for index, run in enumerate(toy.runs()):
        train, evaluate = jobs.read(run)
        assert (train.job, train.array, train.stage) == (f"100_{index}", "100", "train")
        assert (evaluate.job, evaluate.stage, evaluate.profile) == (
            f"110_{index}",
            "evaluate",
            "own",
        )
        assert train.folder == str(folder)
        assert train.log == str(folder / train.job / f"{train.job}_0_log.out")
        assert (run.log / train.job).resolve() == folder / train.job
        assert (folder / train.job / f"{train.job}_submitted.pkl").exists()
    facts = json.loads((folder / "submission.json").read_text())
    assert facts["sweep"] == "toy"
    assert Path(facts["snapshot"], "tgdp", "sweep").is_dir()
    assert folder.stat().st_mode & 0o077 == 0


def test_the_command_loads_nothing_heavy_and_makes_no_data(toy: ClusterSweep, made: MadeUp) -> None:
    heavy = ("torch", "mlflow", "pandas", "matplotlib", "optuna", "av")
    words = ["masking", "--cluster", "slurm", "--profile", "own", "--results", str(toy.results)]
    script = SCRIPT.format(heavy=heavy, words=words)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )

    assert "LOADED []" in done.stdout, done.stdout + done.stderr
    assert made.submitted()
    assert not (toy.results / "data").exists()


def test_arrays_are_no_larger_than_the_cluster_takes(toy: ClusterSweep, made: MadeUp) -> None:
    rows(toy, 9)
    toy.profile("array_parallelism: 2")
    toy.submit()

    scripts = made.submitted()
    arrays = {number: option(text, "array") for number, text in scripts.items()}
    waits = {number: option(text, "dependency") for number, text in scripts.items()}
    assert arrays == {
        **{"100": "0-3%1", "110": "0-3%1"},
        **{"120": "0-3%1", "130": "0-3%1"},
        # A single run is no array.
        **{"140": None, "150": None},
    }
    # Three arrays and two jobs at once: the third waits for the first.
    assert waits == {
        **{"100": None, "110": "aftercorr:100"},
        **{"120": None, "130": "aftercorr:120"},
        **{"140": "afterany:100", "150": "afterok:140"},
    }
    assert {option(text, "kill-on-invalid-dep") for text in scripts.values()} == {None, "yes"}


def test_where_jobs_must_not_be_requeued_successors_are_submitted(
    toy: ClusterSweep, made: MadeUp
) -> None:
    toy.profile("requeue: chain\nsuccessors: 2")
    toy.submit()

    scripts = list(made.submitted().values())
    assert [option(text, "dependency") for text in scripts[:4]] == [
        *(None, "afterany:100", "afterany:110", "'afterok:100?afterok:110?afterok:120'")
    ]
    assert all("#SBATCH --no-requeue" in text.splitlines() for text in scripts)
    assert [job.stage for job in jobs.read(toy.runs()[0])] == [*["train"] * 3, "evaluate"]


def test_no_more_chains_are_at_work_than_jobs_may_be(toy: ClusterSweep, made: MadeUp) -> None:
    toy.profile("requeue: chain\narray_parallelism: 1")
    toy.submit()

    waits = [option(text, "dependency") for text in made.submitted().values()]
    assert waits[:3] == [None, "afterany:100", "'afterok:100?afterok:110'"]
    # The second run's first waits for all of the first run's, for each may be the one that works.
    assert waits[3:5] == ["afterany:100:110", "afterany:130"]


def test_jobs_at_once_are_shared_by_the_size_of_the_arrays(toy: ClusterSweep) -> None:
    rows(toy, 40)
    plan = make_plan(toy.sweep, expand(toy.sweep, tiny(), None), toy.results)
    profile = Profile(name="own", walltime=9, array_parallelism=8)

    def shares(*sizes: int) -> list[int | None]:
        groups = [Group(plan.runs[:size], ("train",)) for size in sizes]
        return [at_once(groups, index, profile) for index in range(len(groups))]

    assert shares(40) == [8]
    # One that has a single run left takes one, not half.
    assert shares(39, 1) == [7, 1]
    assert shares(20, 20) == [4, 4]
    assert shares(3, 3, 3) == [2, 3, 3]
    assert sum(filter(None, shares(9, 8, 7))) == 8


def test_a_queue_that_falls_silent_between_two_questions_is_no_empty_one(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.submit()
    monkeypatch.setattr("tgdp.sweep.slurm.command.WAITS_S", (0.0,))
    made.command("squeue", 'case "$*" in *%F*) ;; *) exit 1 ;; esac')

    with pytest.raises(UserError, match="squeue does not answer"):
        toy.submit()

    assert len(made.submitted()) == 2


def test_a_cluster_whose_numbers_begin_again_is_no_obstacle(
    toy: ClusterSweep, made: MadeUp
) -> None:
    toy.submit()
    (made.folder / "number").write_text("100")

    assert toy.submit() == 0

    assert len(list(toy.runs()[0].log.glob("100_0"))) == 1


def test_nothing_of_another_job_reaches_the_submission(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = ("SBATCH_PARTITION", "SLURM_ARRAY_JOB_ID", "RANK", "MASTER_ADDR", "SUBMITIT_X")
    for name in others:
        monkeypatch.setenv(name, "7")
    conf = made.folder / "own.conf"
    conf.touch()
    monkeypatch.setenv("SLURM_CONF", str(conf))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    toy.submit()

    seen = made.environment("100")
    assert seen["SLURM_CONF"] == str(conf)
    assert seen["CUDA_VISIBLE_DEVICES"] == "3"
    assert not set(others) & set(seen)
    assert os.environ["SBATCH_PARTITION"] == "7"


def test_a_busy_controller_is_asked_again_and_what_it_took_is_cancelled(
    toy: ClusterSweep, made: MadeUp
) -> None:
    (made.folder / "busy").touch()
    mark = r"$(sed -n 's/.*--comment=.\(.*\).$/\1/p' script-100)"
    # The queue knows a job of that mark, whose number never came back.
    queue = f'cd {made.folder}; case "$*" in *%F*) echo "99|{mark}"; echo "98|else";; esac'
    made.command("squeue", queue)

    toy.submit()

    assert (made.folder / "cancelled").read_text() == "99\n"
    assert [job.job for job in jobs.read(toy.runs()[0])] == ["110_0", "120_0"]
    (folder,) = [path for path in (toy.results / ".submissions").iterdir() if path.is_dir()]
    left = {path.name for path in folder.iterdir() if not path.name.startswith(".submission_file")}
    numbers = {f"{array}_{index}" for array in (110, 120) for index in (0, 1)}
    # submitit keeps the script of an array in a folder of the array's number.
    assert left == {"submission.json", *numbers, "110", "120"}


def test_a_refusal_leaves_nothing(toy: ClusterSweep, made: MadeUp) -> None:
    (made.folder / "refuse").write_text("0")

    with pytest.raises(UserError, match=r"sbatch refuses tgdp-toy-train: .*No, thanks"):
        toy.submit()

    assert os.listdir(toy.results / "runs") == []
    assert os.listdir(toy.results / ".submissions") == ["lock"]


def test_a_refusal_half_way_says_what_is_in_the_queue(toy: ClusterSweep, made: MadeUp) -> None:
    (made.folder / "refuse").write_text("110")

    with pytest.raises(UserError, match=r"In the queue already, and left there: 100\. When"):
        toy.submit()

    assert [job.stage for job in jobs.read(toy.runs()[1])] == ["train"]
    (folder,) = [path for path in (toy.results / ".submissions").iterdir() if path.is_dir()]
    assert list(folder.glob("*.pkl")) == []
    assert len(list(folder.glob(".submission_file*"))) == 1


def test_what_is_queued_is_not_submitted_again(
    toy: ClusterSweep, made: MadeUp, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.submit()
    made.queue("100_0", "110_0")
    for run in toy.runs():
        # Long ago: a job that nobody knows a minute later is gone.
        path = run.path / jobs.JOBS_FILE
        path.write_text(re.sub(r'"submitted": [\d.]+', '"submitted": 1.0', path.read_text()))

    toy.submit()

    first, second = toy.runs()
    assert len(jobs.read(first)) == 2
    assert [job.job for job in jobs.read(second)][2:] == ["120", "130"]
    assert f"{first.name} (job 100_0, 110_0)" in capsys.readouterr().out


def test_what_was_refused_half_way_is_submitted_behind_what_is_queued(
    toy: ClusterSweep, made: MadeUp, capsys: pytest.CaptureFixture[str]
) -> None:
    (made.folder / "refuse").write_text("110")
    with pytest.raises(UserError):
        toy.submit()
    (made.folder / "refuse").unlink()
    made.queue("100_0", "100_1")
    capsys.readouterr()

    assert toy.submit() == 0

    waits = [option(text, "dependency") for text in made.submitted().values()]
    assert waits == [None, "aftercorr:100", "afterok:100_0", "afterok:100_1"]
    assert [job.stage for job in jobs.read(toy.runs()[1])] == ["train", "evaluate"]
    assert "2 runs are queued or running already" in capsys.readouterr().out


def test_jobs_of_a_launch_that_was_killed_are_cancelled_and_no_others(
    toy: ClusterSweep, made: MadeUp
) -> None:
    toy.submit()
    (folder,) = [path for path in (toy.results / ".submissions").iterdir() if path.is_dir()]
    facts = json.loads((folder / "submission.json").read_text())
    assert facts["jobs"] == {"0.train.0": "100", "0.evaluate.0": "110"}
    older = folder.with_name("older")
    older.mkdir()
    (older / "submission.json").write_text("{}")
    marks = (f"tgdp {folder.name} 0.train.0", "tgdp elsewhere 0.train.0", "tgdp older 0.train.0")
    queue = "\n".join(f"{number}|{mark}" for number in (99, 100) for mark in marks)
    (made.folder / "marks.txt").write_text(queue)
    # Of two jobs of one mark the one is lost whose number was never written down.
    made.command("scancel", f'echo "$*" >> {made.folder}/cancelled; : > {made.folder}/marks.txt')
    made.command("squeue", f'case "$*" in *%F*) cat {made.folder}/marks.txt;; esac')

    toy.submit()

    assert (made.folder / "cancelled").read_text() == "99\n"


def test_a_dry_run_writes_nothing_and_says_what_is_wrong(
    toy: ClusterSweep, made: MadeUp, capsys: pytest.CaptureFixture[str]
) -> None:
    assert toy.submit(dry_run=True) == 0
    assert "2 new" in capsys.readouterr().out
    toy.profile("walltime: 3-00:00:00\npartition: short")
    with pytest.raises(UserError, match=r"own\.yaml: the cluster would not run.*\n  walltime: 3-"):
        toy.submit(dry_run=True)
    assert not toy.results.exists()
    assert made.submitted() == {}


def test_too_many_ranks_for_the_batch_are_refused(toy: ClusterSweep) -> None:
    toy.words = toy.words.__class__(
        data=toy.words.data, assignments=("training.steps=8", "training.batch_size=3")
    )
    toy.profile("gpus: 4")

    with pytest.raises(UserError, match=r"4 processes a run, and training\.batch_size 3"):
        toy.submit()


def test_waiting_ends_with_the_jobs_and_counts_what_is_left(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr("tgdp.sweep.slurm.wait.PAUSE_S", 0.01)
    monkeypatch.setattr(sweep_slurm, "write_tables", lambda *_: None)
    monkeypatch.setattr("tgdp.sweep.slurm.scheduler.YOUNG_S", 0.0)

    assert toy.submit(wait=True) == 1

    said = capsys.readouterr().out
    assert "0 of 2 runs done; 0 jobs running, 0 pending." in said
    assert said.count("Failed: ") == 2


def test_ctrl_c_while_waiting_leaves_the_jobs(
    toy: ClusterSweep, made: MadeUp, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tgdp.sweep.slurm.wait.wait", interrupt)

    assert toy.submit(wait=True) == 130

    assert "The jobs go on. To end them:\n  tgdp-sweep cancel toy" in capsys.readouterr().out
    assert not (made.folder / "cancelled").exists()


def _plain(text: str, toy: ClusterSweep) -> str:
    """Return a script without what differs from place to place and time to time."""
    text = text.replace(str(toy.results.resolve()), "RESULTS").replace(os.sys.executable, "PYTHON")
    text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "SUBMISSION", text)
    return re.sub(r"\.snapshots/[0-9a-f]{12}(-[0-9a-f]{12})?", "SNAPSHOT", text)
