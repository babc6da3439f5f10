"""What a cluster would refuse or never start is named before anything is submitted."""

import os
from pathlib import Path
from typing import Any

import pytest
from made_up import CONFIG, SACCTMGR, SINFO, MadeUp, make_up

from tgdp.errors import UserError
from tgdp.sweep.slurm.check import check, refuse, warnings
from tgdp.sweep.slurm.profile import Profile
from tgdp.sweep.slurm.site import read_site
from tgdp.sweep.slurm.user import user_name


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeUp:
    return make_up(tmp_path / "bin", monkeypatch)


def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system know no name for the user."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def missing(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", missing)


def said(**fields: Any) -> list[str]:
    profile = Profile(**{"name": "own", "walltime": 30, **fields})
    return [str(finding) for finding in check(profile, read_site(), ("train", "evaluate"))]


def test_the_cluster_is_read_as_it_says(made: MadeUp) -> None:
    site = read_site()

    assert (site.default, site.array_size) == ("main", 4)
    assert set(site.partitions) == {"main", "short", "typed", "closed"}
    assert site.partitions["typed"].nodes[0].gpus == {"h100": 8}
    assert site.partitions["main"].nodes[0].gpus == {"": 4}
    assert site.accounts is not None
    assert site.accounts.qos_of["research"] == {"normal", "high"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"partition": "main", "gpus": 4, "cpus": 2, "memory": "15G", "nodes": 2},
        {"partition": "typed", "gpus": 8, "gpu_type": "h100", "walltime": "2-00:00:00"},
        {"partition": "short,main", "walltime": 90},
        {"constraint": "h100&ib"},
        {"account": "root", "qos": "normal"},
        {"qos": "high", "walltime": 120},
    ],
)
def test_what_the_cluster_runs_is_let_through(made: MadeUp, fields: dict[str, Any]) -> None:
    assert said(**fields) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"partition": "gpu"}, "partition: the cluster has no 'gpu'; valid: closed, main,"),
        ({"partition": "closed"}, "partition: 'closed' is down"),
        ({"partition": "short", "walltime": 61}, "walltime: 1:01:00 is over the 1:00:00 of"),
        ({"partition": "short", "nodes": 2}, "nodes: 'short' gives a job at most 1"),
        ({"nodes": 3}, "nodes: 3 are asked for, and 2 of 2 nodes of 'main' have all of the rest"),
        ({"nodes": 2, "constraint": "ib"}, "nodes: 2 are asked for, and 1 of 2 nodes"),
        ({"gpus": 5, "cpus": 1}, "gpus: 5 are asked for; a node of 'main' has at most 4"),
        ({"gpus": 1, "gpu_type": "a100"}, "gpu_type: no node of 'main' has 'a100'; there are"),
        ({"gpus": 3, "cpus": 3}, "cpus: 3 tasks of 3 are 9; a node of 'main' has at most 8"),
        ({"memory": "16G"}, "memory: 16G; a node of 'main' has at most 16000M"),
        ({"constraint": "a100|h100"}, "constraint: no node of 'main' has 'a100'; there are:"),
        ({"account": "theirs"}, "account: you are not in 'theirs'; valid: research, root"),
        ({"account": "root", "qos": "high"}, "qos: account 'root' has no 'high'; valid: normal"),
        ({"qos": "high", "walltime": 121}, "walltime: 2:01:00 is over the 2:00:00 of qos 'high'"),
    ],
)  # fmt: skip
def test_what_it_would_not_is_named(made: MadeUp, fields: dict[str, Any], words: str) -> None:
    (finding,) = said(**fields)

    assert finding.startswith(words)


def test_what_only_a_stage_asks_for_is_named_as_its_own(made: MadeUp) -> None:
    assert said(evaluate={"gpus": 9, "cpus": 1, "partition": "typed"}) == [
        "evaluate.gpus: 9 are asked for; a node of 'typed' has at most 8"
    ]


def test_all_findings_are_said_with_the_file(made: MadeUp) -> None:
    profile = Profile(name="own", walltime=61, partition="short", memory="16G")
    findings = check(profile, read_site(), ("train",))

    with pytest.raises(UserError) as caught:
        refuse(profile, "own.yaml", findings)

    text = str(caught.value)
    assert text.startswith("own.yaml: the cluster would not run jobs of profile 'own':\n")
    assert "\n  walltime: " in text
    assert "\n  memory: " in text


def test_accounts_count_only_where_users_are_held_to_them(made: MadeUp) -> None:
    made.says("scontrol", CONFIG.replace("associations,limits,qos", "none"))
    assert said(account="theirs") == []
    made.says("scontrol", CONFIG.replace("storage/slurmdbd", "storage/none"))
    assert said(account="theirs") == []


def test_one_in_no_account_is_told(made: MadeUp) -> None:
    made.command("sacctmgr", "exit 0")
    assert said() == ["account: you are in none; ask whoever runs the cluster for one"]


def test_accounts_are_those_on_this_cluster(made: MadeUp) -> None:
    elsewhere = (
        'case "$*" in *assoc*cluster=made-up*) ;; *default*) echo theirs; exit ;;'
        '*assoc*) echo "theirs|normal" ;; esac\n'
    )
    made.command("sacctmgr", elsewhere + SACCTMGR)

    accounts = read_site().accounts

    assert accounts is not None
    assert (accounts.default, set(accounts.qos_of)) == ("research", {"research", "root"})


def test_a_hidden_partition_is_seen(made: MadeUp) -> None:
    hidden = "secret|up|infinite|1-infinite|n4|8|16000|gpu:4|(null)"
    made.says("sinfo", SINFO)
    shown = f"cat {made.folder}/sinfo.txt"
    made.command("sinfo", f"{shown}; case \"$*\" in *--all*) echo '{hidden}' ;; esac")

    assert said(partition="secret", gpus=4, cpus=1) == []


def test_one_without_a_name_is_known_by_number_and_in_no_account_that_can_be_seen(
    made: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    nameless(monkeypatch)
    assert user_name() == str(os.getuid())
    assert read_site().accounts is not None

    made.command("sacctmgr", "exit 0")

    assert read_site().accounts is None
    assert said(account="research") == []


@pytest.mark.parametrize(("enforced", "is_named"), [("NO", False), ("ANY", False), ("ALL", True)])
def test_where_each_partition_has_to_fit_what_does_not_is_named(
    made: MadeUp, enforced: str, is_named: bool
) -> None:
    made.says("scontrol", f"{CONFIG}EnforcePartLimits       = {enforced}\n")

    words = ["walltime: 1:30:00 is over the 1:00:00 of 'short'"] if is_named else []
    assert said(partition="short,main", walltime=90) == words
    assert said(partition="main,short", walltime=90) == words
    assert said(partition="main,closed") == []


def test_what_fits_no_partition_is_named_once(made: MadeUp) -> None:
    made.says("scontrol", f"{CONFIG}EnforcePartLimits = ALL\n")

    assert said(partition="closed", walltime=90) == [
        "partition: 'closed' is down: its jobs would wait until it is up again"
    ]
    assert len(said(partition="main,short", memory="16G")) == 2


def test_what_may_be_wrong_is_said(made: MadeUp) -> None:
    config = CONFIG.replace("JobRequeue              = 1", "JobRequeue = 0\nKillWait = 30 sec")
    made.says("scontrol", config.replace("preempt/none", "preempt/qos"))

    first, second = warnings(Profile(name="own", walltime=9), read_site())

    assert first.startswith("JobRequeue=0")
    assert "KillWait (30 sec)" in second


def test_where_there_is_no_cluster_it_is_said(
    monkeypatch: pytest.MonkeyPatch, made: MadeUp
) -> None:
    made.command("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    monkeypatch.setattr("tgdp.sweep.slurm.command.WAITS_S", (0.0,))
    with pytest.raises(UserError, match="the cluster does not answer"):
        read_site()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="sinfo is not on PATH"):
        read_site()
