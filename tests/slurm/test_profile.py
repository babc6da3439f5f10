"""A profile says what a person wrote, and what is wrong with it is named with file and field."""

from pathlib import Path

import pytest

from tgdp.errors import UserError
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.profile_files import (
    load_profile,
    profile_files,
    read_profile,
    user_folder,
    with_parallelism,
)
from tgdp.sweep.slurm.units import as_time, limit_minutes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TGDP_PROFILES", str(tmp_path))
    return tmp_path


def write(folder: Path, text: str, name: str = "own") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("written", "minutes"),
    [
        ("90", 90),
        ("12:00:00", 720),  # to YAML 1.1 the number 43200
        ("1:30:01", 91),
        ("2-00:00:00", 2880),
        ('"0:10:00"', 10),
    ],
)
def test_a_walltime_is_what_a_person_means(folder: Path, written: str, minutes: int) -> None:
    assert read_profile(write(folder, f"walltime: {written}")).walltime == minutes


@pytest.mark.parametrize(
    ("written", "megabytes"), [("64G", 65536), ("900M", 900), ("1.5GB", 1536), ("1T", 1024**2)]
)
def test_memory_has_a_unit(folder: Path, written: str, megabytes: int) -> None:
    assert read_profile(write(folder, f"walltime: 9\nmemory: {written}")).memory == megabytes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("walltme: 90", "unknown field 'walltme'. Did you mean 'walltime'?"),
        ("walltime: 9\nevaluate: {gpu: 1}", "unknown field 'evaluate.gpu'. Did you mean 'gpus'?"),
        ("partition: main", "walltime: is missing"),
        ("walltime: 1.5h", "walltime: expected minutes (90) or [days-]hours:minutes:seconds"),
        ("walltime: 0", "walltime: must be more than nothing (got '0')"),
        ("walltime: 9\nmemory: 64", "memory: expected a number and its unit"),
        ("walltime: 9\nrequeue: always", "Input should be 'auto', 'chain' or 'none'"),
        ("walltime: 9\nnodes: 0", "nodes: Input should be greater than or equal to 1"),
        ("walltime: 2\nsignal_ahead: 120", "walltime 0:02:00 is no longer than signal_ahead"),
        ("walltime: 9\nevaluate: {walltime: 1}", "walltime 0:01:00 is no longer"),
        ("walltime: 9\nsbatch: {time: 3}", "sbatch.time: the harness sets this"),
        ("walltime: 9\nsbatch: {cpus_per_task: 8}", "sbatch.cpus_per_task: the harness sets this"),
        ("walltime: 9\nsbatch: {no_requeue: true}", "sbatch.no_requeue: the harness sets this"),
        ("walltime: 9\nenvironment: {A-B: x}", "environment.A-B: no name of a variable"),
        ("walltime: 9\nenvironment: {1A: x}", "environment.1A: no name of a variable"),
        ('walltime: 9\nenvironment: {"A; rm": x}', "environment.A; rm: no name of a variable"),
        ('walltime: 9\nenvironment: {"A\\n": x}', "environment.A\n: no name of a variable"),
        ("walltime: 9\ngpu_type: h100", "gpu_type is of no use without gpus"),
        ("walltime: 9\nsuccessors: 2", "successors is only for requeue: chain"),
        ("walltime: 9\nprobe: {gpus: 2}", "a probe is measured by one process"),
        ("walltime: 10\nwalltime: 20", "walltime: is given twice, in line 1 and in line 2"),
        ("walltime: 9\nprobe:\n  gpus: 1\n  gpus: 0", "probe.gpus: is given twice, in line 3"),
        ("walltime: 9\nsbatch: {begin: a, begin: b}", "sbatch.begin: is given twice"),
        (
            "walltime: 9\nsetup: module load cuda",
            "setup: expected a list of lines, as in `setup: [module load cuda]`",
        ),
        ("walltime: 9\nenvironment: A", "environment: expected fields of its own, as in"),
        ("walltime: 9\nprobe: none", "probe: expected fields of its own, as in `probe: {NAME"),
        ("- walltime", "expected fields, a line each"),
        ("walltime: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(folder: Path, text: str, words: str) -> None:
    path = write(folder, text)

    with pytest.raises(UserError) as caught:
        read_profile(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("module load cuda/12.4", ("module load cuda/12.4",)),
        ("|\n  module load a, b\n  - x\n  export A=1", ("module load a, b", "- x", "export A=1")),
        ("'echo \"a: b\" # c'", ('echo "a: b" # c',)),
    ],
)
def test_the_list_that_is_expected_can_be_copied(
    folder: Path, written: str, meant: tuple[str, ...]
) -> None:
    with pytest.raises(UserError) as caught:
        read_profile(write(folder, f"walltime: 9\nsetup: {written}\n"))
    as_in = str(caught.value).split("`")[1]
    assert read_profile(write(folder, f"walltime: 9\n{as_in}\n")).setup == meant


def test_what_a_shell_can_export_and_sbatch_takes_is_let_through(folder: Path) -> None:
    text = "walltime: 9\nsbatch: {mail_user: me}\nenvironment: {_A1: x, b: '; y'}"
    profile = read_profile(write(folder, text))

    assert profile.environment == {"_A1": "x", "b": "; y"}
    assert profile.sbatch == {"mail_user": "me"}


def test_a_stage_has_what_it_says_and_the_rest_from_the_profile(folder: Path) -> None:
    text = "walltime: 1-00:00:00\nnodes: 2\ngpus: 8\ngpu_type: h100\naccount: us\n"
    text += "evaluate: {nodes: 1, gpus: 1, walltime: 30, partition: short}\nprobe: {gpus: 0}\n"
    profile = read_profile(write(folder, text))

    assert profile.world == 16
    evaluate, probe = profile.of("evaluate"), profile.of("probe")
    assert (evaluate.world, evaluate.walltime, evaluate.partition) == (1, 30, "short")
    assert (evaluate.gpu_type, evaluate.account) == ("h100", "us")
    assert (probe.nodes, probe.gpus, probe.gpu_type, probe.walltime) == (1, 0, None, 1440)


def test_a_users_own_profile_wins(folder: Path) -> None:
    assert load_profile("testbed").partition == "main"
    own = write(folder, "walltime: 9\npartition: mine", "testbed")

    assert profile_files()["testbed"] == own
    assert load_profile("testbed").partition == "mine"
    with pytest.raises(UserError, match=r"unknown profile 'testbde'. Did you mean 'testbed'\?"):
        load_profile("testbde")


def test_profiles_are_looked_for_where_xdg_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TGDP_PROFILES", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert user_folder() == Path("/xdg/tgdp/profiles")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert user_folder() == Path("/home/me/.config/tgdp/profiles")


def test_every_profile_that_ships_can_be_read() -> None:
    shipped = Path(__file__).parents[2] / "slurm" / "profiles"
    names = {path.stem for path in shipped.glob("*.yaml")}
    assert names == {"h100-node", "one-gpu-preemptible", "testbed"}
    for path in shipped.glob("*.yaml"):
        assert read_profile(path).description


def test_jobs_at_once_can_be_said_on_the_command_line() -> None:
    profile = Profile(name="own", walltime=9, array_parallelism=2)

    assert with_parallelism(profile, 3).array_parallelism == 3
    assert with_parallelism(profile, None) == profile


@pytest.mark.parametrize(
    ("printed", "minutes"),
    [
        ("infinite", float("inf")),
        ("1:00", 1),
        ("30:00", 30),
        ("12:00:00", 720),
        ("7-00:00:00", 10080),
    ],
)
def test_limits_are_read_as_slurm_prints_them(printed: str, minutes: float) -> None:
    assert limit_minutes(printed) == minutes


def test_times_are_said_as_people_read_them() -> None:
    assert [as_time(n) for n in (90, 1440, float("inf"))] == ["1:30:00", "1-00:00:00", "no limit"]
